//! A program that calls `run_if_asked` when it already has a runtime, but no thread of it.

mod one_job;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    jobcore::supervisor::run_if_asked();
    one_job::run().await
}

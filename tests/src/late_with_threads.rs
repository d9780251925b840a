//! A program that calls `run_if_asked` when its runtime already has threads, which is the usual first attempt.

mod one_job;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    jobcore::supervisor::run_if_asked();
    one_job::run().await
}

//! A program that calls `run_if_asked` when its runtime has threads already: what everybody tries first.

mod one_job;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    jobcore::supervisor::run_if_asked();
    one_job::run().await
}

//! The MCP server under test.

fn main() -> std::process::ExitCode {
    jobmcp::main()
}

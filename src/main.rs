//! The `dsv` binary: one call into the library's top floor.

fn main() -> std::process::ExitCode {
    dsv::cli::main()
}

//! The `dsv` binary: one call into the library's top floor.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    dsv::cli::main()
}

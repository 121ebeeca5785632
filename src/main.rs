//! The binary: hands over to the command line. Who embeds the library chooses an allocator of their own.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    mainstay::cli::run()
}

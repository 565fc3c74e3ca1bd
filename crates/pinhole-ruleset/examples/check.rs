//! Checks ruleset files: `cargo run -p pinhole-ruleset --example check FILE…`.

fn main() -> std::process::ExitCode {
    let mut status = std::process::ExitCode::SUCCESS;
    for file in std::env::args().skip(1) {
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("{file}: {error}");
                return std::process::ExitCode::FAILURE;
            }
        };
        match pinhole_ruleset::compile_text(&file, &text) {
            Ok(ruleset) => println!("{file}: {} rules", ruleset.rule_count()),
            Err(diagnostics) => {
                diagnostics.iter().for_each(|d| eprintln!("{}\n", d.render(false)));
                status = std::process::ExitCode::FAILURE;
            }
        }
    }
    status
}

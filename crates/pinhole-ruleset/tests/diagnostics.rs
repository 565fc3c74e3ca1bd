//! What the errors look like: every `diagnostics/*.nft` renders to the `.txt` beside it. `PINHOLE_BLESS=1` rewrites.

use std::path::Path;

#[test]
fn errors_read_as_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "nft"));
    files.sort();
    assert!(!files.is_empty());
    let mut wrong = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        let diagnostics = pinhole_ruleset::compile_text(name, &text).expect_err("the file has errors");
        let rendered: String = diagnostics.iter().map(|d| d.render(false) + "\n\n").collect();
        let golden = file.with_extension("txt");
        if std::env::var_os("PINHOLE_BLESS").is_some() {
            std::fs::write(&golden, &rendered).unwrap();
        }
        if std::fs::read_to_string(&golden).unwrap_or_default() != rendered {
            wrong.push(format!("{name}:\n{rendered}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn fields_suit_machines() {
    let errors = pinhole_ruleset::compile_text("a.nft", "table ip t {\n chain c { ä\n }\n}\n").unwrap_err();
    let first = &errors[0];
    assert_eq!((first.file.as_str(), first.line, first.column), ("a.nft", 2, 12));
    assert_eq!(first.source_line.get(first.span.clone()), Some("ä"));
    assert_eq!(first.to_string(), "a.nft:2:12: error: this character means nothing in nft's language");
}

#[test]
fn at_most_twenty_errors() {
    let text = "bogus\n".repeat(1000);
    assert_eq!(pinhole_ruleset::compile_text("a.nft", &text).unwrap_err().len(), 20);
}

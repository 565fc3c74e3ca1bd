//! Any text as a ruleset. What is refused is refused with a place in the text; what is accepted decides about any packet.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pinhole_ruleset::{Family, Field, Hook, NameField, NoEffects, RulesetState, Subject, compile_text};
use std::hint::black_box;

fuzz_target!(|text: &str| {
    let ruleset = match compile_text("input", text) {
        Ok(ruleset) => ruleset,
        Err(problems) => {
            assert!(!problems.is_empty() && problems.len() <= 20);
            for problem in problems {
                assert!(problem.line >= 1 && problem.column >= 1);
                black_box(problem.render(false));
            }
            return;
        }
    };
    for rule in (0..ruleset.rule_count()).map(pinhole_ruleset::RuleId) {
        black_box((ruleset.rule_text(rule), ruleset.rule_comment(rule)));
        assert!(ruleset.location(rule).is_some());
    }
    let mut state = RulesetState::new(&ruleset);
    for seed in 0..4 {
        for hook in Hook::ALL {
            for family in [Family::Ip, Family::Ip6] {
                for chain in ruleset.base_chains(hook, family) {
                    let subject = Anything { seed };
                    let now = u64::from(seed) * 1_000_000_000;
                    let verdict = ruleset.evaluate(chain.id, &subject, &mut NoEffects, &mut state, now);
                    assert_eq!(verdict.chain, chain.id);
                }
            }
        }
    }
    assert!(ruleset.counters(&state).count() <= text.len());
});

/// A packet whose fields are small, large, or not there.
struct Anything {
    seed: u32,
}

impl Subject for Anything {
    fn load(&self, field: Field) -> Option<u128> {
        let mixed = (field as u32 + 1).wrapping_mul(0x9e37_79b9).rotate_left(self.seed * 7);
        match self.seed {
            0 => Some(u128::from(mixed & 7)),
            1 => Some(u128::from(mixed & 0xffff)),
            2 => Some(u128::MAX >> (mixed & 127)),
            _ => (mixed & 1 == 0).then_some(u128::from(mixed)),
        }
    }

    fn name(&self, field: NameField) -> Option<&str> {
        match (self.seed, field) {
            (0, NameField::CtHelper) => Some("ftp"),
            (0, _) => Some("eth0"),
            (1, _) => Some(""),
            (2, _) => Some("a name that is longer than the kernel's"),
            _ => None,
        }
    }
}

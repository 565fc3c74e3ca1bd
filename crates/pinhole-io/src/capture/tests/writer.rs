//! What the writer refuses and cuts.

use std::io::ErrorKind;

use pinhole_wire::{LinkType, Time};

use super::frames;
use crate::capture::{CAPTURED_LIMIT, PcapngWriter, Record};

#[test]
fn refuses_what_no_reader_would_accept() {
    let mut writer = PcapngWriter::new(Vec::new(), "test").unwrap();
    let error = writer.write(&Record::new(0, Time(0), b"a")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let interface = writer.add_interface(LinkType(1), "eth0").unwrap();
    let large = vec![0; CAPTURED_LIMIT as usize + 1];
    let error = writer.write(&Record::new(interface, Time(0), &large)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    writer.write(&Record::new(interface, Time(0), &large[1..])).unwrap();
    assert_eq!(frames(writer.finish().unwrap()).len(), 1);
}

#[test]
fn cuts_a_long_comment_between_characters() {
    let mut writer = PcapngWriter::new(Vec::new(), "test").unwrap();
    let interface = writer.add_interface(LinkType(1), "eth0").unwrap();
    let comment = "é".repeat(40_000);
    let mut record = Record::new(interface, Time(0), b"abc");
    record.comment = Some(&comment);
    writer.write(&record).unwrap();
    writer.write(&Record::new(interface, Time(1), b"def")).unwrap();
    let file = writer.finish().unwrap();
    assert_eq!(frames(file.clone()).len(), 2);
    let kept = file.windows(2).filter(|pair| *pair == "é".as_bytes()).count();
    assert_eq!(kept, 65_535 / 2);
}

#[test]
fn comments_and_names_do_not_depend_on_alignment() {
    for length in 0..6 {
        let text = "x".repeat(length);
        let mut writer = PcapngWriter::new(Vec::new(), &text).unwrap();
        let interface = writer.add_interface(LinkType(1), &text).unwrap();
        let mut record = Record::new(interface, Time(0), &text.as_bytes()[..length]);
        record.comment = Some(&text);
        writer.write(&record).unwrap();
        assert_eq!(frames(writer.finish().unwrap())[0].bytes, text.as_bytes());
    }
}

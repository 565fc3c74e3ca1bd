use super::*;
use pinhole_wire::LinkType;

fn logged(bytes: &[u8], topology: &mut Topology) -> Logged {
    Logged {
        prefix: "dropped: ".into(),
        level: 4,
        link: LinkType::ETHERNET,
        bytes: bytes.into(),
        length: bytes.len() as u32,
        ingress: Some(topology.interface("lan0")),
        egress: None,
    }
}

/// A SYN in an Ethernet frame.
const SYN: &[u8] = &[
    0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x08, 0x00, // Ethernet
    0x45, 0x10, 0x00, 0x2c, 0x12, 0x34, 0x40, 0x00, 0x40, 0x06, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1, // IPv4
    0x9c, 0x40, 0x00, 0x50, 0, 0, 0, 1, 0, 0, 0, 0, 0x60, 0x02, 0xfa, 0xf0, 0, 0, 0, 0, 2, 4, 5,
    0xb4, // TCP
];

#[test]
fn a_packet_is_written_in_netfilters_words() {
    let mut topology = Topology::new();
    let it = logged(SYN, &mut topology);
    let line = Log::default().packet_line(Time(0), &it, "fw.nft:3", &topology);
    assert_eq!(
        line,
        "dropped: IN=lan0 OUT= MAC=02:00:00:00:00:01:02:00:00:00:00:02:08:00 SRC=10.0.0.1 DST=192.0.2.1 LEN=44 TOS=0x10 \
         PREC=0x00 TTL=64 ID=4660 DF PROTO=TCP SPT=40000 DPT=80 WINDOW=64240 RES=0x00 SYN URGP=0"
    );
}

#[test]
fn or_in_json() {
    let mut topology = Topology::new();
    let it = logged(SYN, &mut topology);
    let log = Log::new(LogFormat::Json, LogLevel::Info);
    let line: serde_json::Value =
        serde_json::from_str(&log.packet_line(Time::from_seconds(7), &it, "fw.nft:3", &topology)).unwrap();
    for (name, value) in [
        ("time", json!(7.0)),
        ("type", json!("packet")),
        ("prefix", json!("dropped: ")),
        ("rule", json!("fw.nft:3")),
        ("src", json!("10.0.0.1")),
        ("dpt", json!(80)),
        ("syn", json!(true)),
        ("ttl", json!(64)),
    ] {
        assert_eq!(line[name], value, "{name}");
    }
    let message: serde_json::Value = serde_json::from_str(&log.message(Time(0), "a \"b\"\n")).unwrap();
    assert_eq!(message["message"], "a \"b\"\n");
}

#[test]
fn every_packet_is_traced_if_that_is_asked_for() {
    assert!(!Log::default().traces());
    let outcome = Outcome::dropped(pinhole_engine::Reason::HopLimit);
    let traced = Traced {
        time: Time::from_seconds(7),
        port: "lan0",
        frame: 12,
        headers: Headers::read(LinkType::ETHERNET, SYN),
        outcome: &outcome,
        rule: Some("fw.nft:3"),
        conn: Some(5),
    };
    let log = Log::new(LogFormat::Text, LogLevel::Trace);
    assert!(log.traces());
    assert_eq!(
        log.trace_line(&traced),
        "trace: lan0 12: tcp 10.0.0.1:40000 > 192.0.2.1:80 SYN conn=5 direction=original verdict=drop rule=fw.nft:3 reason=hop-limit"
    );
    let line = Log::new(LogFormat::Json, LogLevel::Trace).trace_line(&traced);
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        line,
        json!({
            "time": 7.0, "type": "trace", "port": "lan0", "frame": 12, "flow": "tcp 10.0.0.1:40000 > 192.0.2.1:80 SYN", "conn": 5,
            "state": null, "direction": "original", "verdict": "drop", "rule": "fw.nft:3", "reason": "hop-limit",
        })
    );
}

proptest::proptest! {
    #[test]
    fn any_frame_can_be_written(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..120)) {
        let mut topology = Topology::new();
        let it = logged(&bytes, &mut topology);
        for format in [LogFormat::Text, LogFormat::Json] {
            let line = Log::new(format, LogLevel::Info).packet_line(Time(0), &it, "", &topology);
            proptest::prop_assert!(!line.contains('\n'));
        }
    }
}

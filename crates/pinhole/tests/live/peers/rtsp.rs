//! RTSP with media over UDP: GStreamer's server and ffmpeg. The kernel has no helper for it.

use super::uses::{Host, Use, V4, V6, bracketed, check, client, in_topologies};
use crate::bench::{Bench, ControlOnly, Net, missing};
use std::process::Command;

const RTSP: ControlOnly<'_> = ControlOnly { helper: "rtsp", protocol: "tcp", port: 554, attached: true };

/// Listens to a second of the tone: 8000 samples of two bytes.
fn listen(bench: &Bench, service: &str) -> Result<(), String> {
    let url = format!("rtsp://{}:554/tone", bracketed(service));
    let arguments =
        ["ffmpeg", "-nostdin", "-v", "error", "-rtsp_transport", "udp", "-i", &url, "-t", "1", "-y"];
    let told = client(bench, 6, bench.folder(), &[&arguments[..], &["-f", "wav", "tone.wav"]].concat())?;
    let length = std::fs::metadata(bench.folder().join("tone.wav")).map_or(0, |file| file.len());
    if length > 12_000 { Ok(()) } else { Err(format!("{length} bytes: {told}")) }
}

#[test]
#[ignore = "takes root and network namespaces"]
fn gstreamer_and_ffmpeg_in_every_topology() {
    over(V4);
}

#[test]
#[ignore = "takes root and network namespaces"]
fn gstreamer_and_ffmpeg_over_ipv6_in_every_topology() {
    over(V6);
}

fn over(version: usize) {
    const BINDINGS: &str = "import gi
gi.require_version('GstRtspServer', '1.0')
gi.require_version('Gst', '1.0')
from gi.repository import Gst
Gst.init(None)";
    if missing(&["ffmpeg", "python3"]) {
        return;
    }
    // GStreamer looks at all of its plugins once; four servers that do so at the same time take long.
    let cache = tempfile::tempdir().unwrap();
    let registry = cache.path().join("registry.bin");
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-c", BINDINGS]).env("GST_REGISTRY", &registry);
    if !python.output().is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: gir1.2-gst-rtsp-server-1.0 and python3-gi are not installed");
        return;
    }
    let setting = format!("GST_REGISTRY={}", registry.display());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/live/peers/rtsp_server.py");
    in_topologies(&Net::ROUTED, |net| {
        let bench = Bench::with(&format!("rtsp{version}-{net:?}"), net);
        let host = Host::new(&bench, "server");
        host.start("rtsp", &["env", &setting, "/usr/bin/python3", script, net.server()[version]]);
        bench.await_listener("server", 554);
        let run = Box::new(|_: &_| listen(&bench, net.service()[version]));
        check(&bench, RTSP, "udp", &[Use { name: "listen".to_owned(), needs_nat_half: false, run }]);
    });
}

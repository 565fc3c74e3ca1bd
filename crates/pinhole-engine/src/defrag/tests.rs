use etherparse::PacketBuilder;
use pinhole_wire::ipv4_header_checksum_ok;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const START: Time = Time::from_seconds(1000);

fn udp_v4(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).udp(1000, 53).write(&mut bytes, payload).unwrap();
    bytes[6] &= !0x40;
    let checksum = header_checksum(&bytes);
    bytes[10..12].copy_from_slice(&checksum);
    bytes
}

fn udp_v6(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ipv6([1; 16], [2; 16], 64).udp(1000, 53).write(&mut bytes, payload).unwrap();
    bytes
}

/// The same with a destination options header, which every fragment repeats.
fn udp_v6_with_options(payload: &[u8]) -> Vec<u8> {
    let mut bytes = udp_v6(payload);
    bytes.splice(40..40, [17, 0, 1, 4, 0, 0, 0, 0]);
    bytes[6] = 60;
    set_payload_length(&mut bytes);
    bytes
}

fn header_checksum(bytes: &[u8]) -> [u8; 2] {
    let mut header = bytes[..20].to_vec();
    (header[10], header[11]) = (0, 0);
    pinhole_wire::checksum::Sum::of(&header).checksum().to_be_bytes()
}

fn set_payload_length(bytes: &mut [u8]) {
    let length = (bytes.len() - 40) as u16;
    bytes[4..6].copy_from_slice(&length.to_be_bytes());
}

/// One IPv4 fragment of anything from 10.0.0.1 to 10.0.0.2.
fn fragment_v4(identification: u16, offset: usize, more: bool, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    bytes[2..4].copy_from_slice(&(20 + data.len() as u16).to_be_bytes());
    bytes[4..6].copy_from_slice(&identification.to_be_bytes());
    let field = (offset / 8) as u16 | u16::from(more) << 13;
    bytes[6..8].copy_from_slice(&field.to_be_bytes());
    let checksum = header_checksum(&bytes);
    bytes[10..12].copy_from_slice(&checksum);
    bytes.extend(data);
    bytes
}

/// One IPv6 fragment; `headers` are those before the fragment header, `next` is what follows it.
fn fragment_v6(headers: &[u8], next: u8, id: u32, offset: usize, more: bool, data: &[u8]) -> Vec<u8> {
    let mut bytes = headers.to_vec();
    if headers.len() == 40 {
        bytes[6] = 44;
    } else {
        bytes[40] = 44;
    }
    bytes.extend([next, 0]);
    bytes.extend((offset as u16 | u16::from(more)).to_be_bytes());
    bytes.extend(id.to_be_bytes());
    bytes.extend(data);
    set_payload_length(&mut bytes);
    bytes
}

/// Cuts a datagram at these offsets of its data, in units of eight bytes.
fn split(datagram: &[u8], headers: usize, cuts: &[usize]) -> Vec<Vec<u8>> {
    let (head, data) = datagram.split_at(headers);
    let mut cuts: Vec<usize> =
        cuts.iter().map(|cut| cut * 8).filter(|cut| (1..data.len()).contains(cut)).collect();
    cuts.sort_unstable();
    cuts.dedup();
    let ends = cuts.iter().copied().chain([data.len()]);
    let starts = [0].into_iter().chain(cuts.iter().copied());
    starts
        .zip(ends)
        .map(|(start, end)| {
            let (more, piece) = (end < data.len(), &data[start..end]);
            if head[0] >> 4 == 4 {
                fragment_v4(0, start, more, piece)
            } else {
                fragment_v6(head, 17, 99, start, more, piece)
            }
        })
        .collect()
}

fn push<'a>(defragmenter: &'a mut Defragmenter, now: Time, bytes: &[u8]) -> Outcome<'a> {
    let packet = Packet::parse(bytes, 0).unwrap();
    defragmenter.push(now, &packet, bytes, 0)
}

/// Pushes all at once, and tells what became of the last.
fn last_of(fragments: &[Vec<u8>]) -> Result<Option<Vec<u8>>, DefragDrop> {
    let mut defragmenter = Defragmenter::new(DefragSettings::default());
    let mut last = Ok(None);
    for fragment in fragments {
        last = match push(&mut defragmenter, START, fragment) {
            Outcome::Held => Ok(None),
            Outcome::Complete(datagram) => Ok(Some(datagram.to_vec())),
            Outcome::Dropped(why) => Err(why),
        };
    }
    last
}

fn data(length: usize) -> Vec<u8> {
    (0..length).map(|index| index as u8).collect()
}

#[test]
fn two_fragments_in_either_order() {
    let whole = udp_v4(&data(100));
    let mut fragments = split(&whole, 20, &[4]);
    assert_eq!(fragments.len(), 2);
    assert_eq!(last_of(&fragments), Ok(Some(whole.clone())));
    fragments.reverse();
    assert_eq!(last_of(&fragments), Ok(Some(whole.clone())));
    assert!(ipv4_header_checksum_ok(&whole));
}

#[test]
fn ipv6_fragment_header_is_taken_out() {
    for (whole, headers) in [(udp_v6(&data(100)), 40), (udp_v6_with_options(&data(100)), 48)] {
        assert_eq!(last_of(&split(&whole, headers, &[2, 7])), Ok(Some(whole)));
    }
}

#[test]
fn link_header_and_padding_are_left_off() {
    let whole = udp_v4(&data(30));
    let mut defragmenter = Defragmenter::new(DefragSettings::default());
    let mut outcome = Vec::new();
    for fragment in split(&whole, 20, &[2]) {
        let frame = [&[0xaa; 14][..], &fragment, &[0xee; 9]].concat();
        let packet = Packet::parse(&frame, 14).unwrap();
        if let Outcome::Complete(datagram) = defragmenter.push(START, &packet, &frame, 0) {
            outcome = datagram.to_vec();
        }
    }
    assert_eq!(outcome, whole);
}

#[test]
fn other_datagrams_do_not_mix() {
    let first = fragment_v4(1, 0, true, &data(16));
    let mut other_protocol = fragment_v4(1, 16, false, &data(8));
    other_protocol[9] = 6;
    assert_eq!(last_of(&[first.clone(), fragment_v4(2, 16, false, &data(8))]), Ok(None));
    assert_eq!(last_of(&[first.clone(), other_protocol]), Ok(None));

    let mut defragmenter = Defragmenter::new(DefragSettings::default());
    let last = fragment_v4(1, 16, false, &data(8));
    push(&mut defragmenter, START, &first);
    let packet = Packet::parse(&last, 0).unwrap();
    assert_eq!(defragmenter.push(START, &packet, &last, 7), Outcome::Held, "another zone");
    assert!(matches!(push(&mut defragmenter, START, &last), Outcome::Complete(_)));
}

#[test]
fn whole_packets_pass() {
    let whole = udp_v4(&data(10));
    assert_eq!(last_of(std::slice::from_ref(&whole)), Ok(Some(whole)));
}

#[test]
fn duplicates_are_ignored() {
    let whole = udp_v4(&data(64));
    let pieces = split(&whole, 20, &[2, 5]);
    let [a, b, c] = &pieces[..] else { panic!() };
    assert_eq!(last_of(&[a.clone(), a.clone()]), Err(DefragDrop::Duplicate));
    assert_eq!(last_of(&[c.clone(), c.clone()]), Err(DefragDrop::Duplicate));
    let all = [c, c, a, a, c, b].map(Clone::clone);
    assert_eq!(last_of(&all), Ok(Some(whole)));
}

#[test]
fn overlaps_drop_the_datagram() {
    let middle = fragment_v4(1, 16, true, &data(16));
    for (overlap, name) in [
        (fragment_v4(1, 16, true, &[0xff; 16]), "same place, other bytes"),
        (fragment_v4(1, 16, true, &data(8)), "shorter"),
        (fragment_v4(1, 16, true, &data(24)), "longer"),
        (fragment_v4(1, 8, true, &data(16)), "from before"),
        (fragment_v4(1, 24, true, &data(16)), "from within"),
        (fragment_v4(1, 8, true, &data(40)), "around"),
        (fragment_v4(1, 16, false, &data(16)), "same, but the last"),
    ] {
        assert_eq!(last_of(&[middle.clone(), overlap.clone()]), Err(DefragDrop::Overlap), "{name}");
        let innocent = fragment_v4(1, 0, true, &data(8));
        let then = [middle.clone(), overlap, innocent];
        assert_eq!(last_of(&then), Err(DefragDrop::DatagramDropped), "{name}");
    }
}

#[test]
fn impossible_fragments_drop_the_datagram() {
    let settings = DefragSettings { smallest_fragment: 32, ..DefragSettings::default() };
    for (fragment, why) in [
        (fragment_v4(1, 8, true, &[]), DefragDrop::Empty),
        (fragment_v4(1, 8, false, &[]), DefragDrop::Empty),
        (fragment_v4(1, 0, true, &data(33)), DefragDrop::Ragged),
        (fragment_v4(1, 0, true, &data(24)), DefragDrop::Tiny),
        (fragment_v4(1, 65528, false, &data(40)), DefragDrop::Oversize),
        (fragment_v4(1, 65512, false, &data(40)), DefragDrop::Oversize),
    ] {
        let mut defragmenter = Defragmenter::new(settings);
        assert_eq!(push(&mut defragmenter, START, &fragment), Outcome::Dropped(why));
        let innocent = fragment_v4(1, 0, true, &data(32));
        let after = push(&mut defragmenter, START, &innocent);
        assert_eq!(after, Outcome::Dropped(DefragDrop::DatagramDropped), "{why}");
        assert_eq!(defragmenter.statistics().dropped, 1);
    }
}

#[test]
fn fragments_must_agree_about_the_end() {
    let last = fragment_v4(1, 32, false, &data(8));
    for beyond in [
        fragment_v4(1, 40, true, &data(8)),
        fragment_v4(1, 40, false, &data(8)),
        fragment_v4(1, 24, false, &data(8)),
    ] {
        assert_eq!(last_of(&[last.clone(), beyond.clone()]), Err(DefragDrop::End));
        assert_eq!(last_of(&[beyond, last.clone()]), Err(DefragDrop::End));
    }
}

#[test]
fn ipv6_first_fragment_holds_all_headers() {
    let headers = &udp_v6(&[])[..40];
    let cut_transport = fragment_v6(headers, 6, 1, 0, true, &data(16));
    assert_eq!(last_of(&[cut_transport]), Err(DefragDrop::Headers));
    let cut_chain = fragment_v6(headers, 60, 1, 0, true, &[17, 4, 0, 0, 0, 0, 0, 0]);
    assert_eq!(last_of(&[cut_chain]), Err(DefragDrop::Headers));
    let unknown = fragment_v6(headers, 50, 1, 0, true, &data(8));
    assert_eq!(last_of(&[unknown]), Ok(None), "of ESP nothing can be seen");
}

#[test]
fn atomic_fragments_meet_no_others() {
    let whole = udp_v6(&data(20));
    let held = fragment_v6(&whole[..40], 17, 99, 0, true, &whole[40..56]);
    let atomic = fragment_v6(&whole[..40], 17, 99, 0, false, &whole[40..]);
    let mut defragmenter = Defragmenter::new(DefragSettings::default());
    assert_eq!(push(&mut defragmenter, START, &held), Outcome::Held);
    assert_eq!(push(&mut defragmenter, START, &atomic), Outcome::Complete(&whole));
    let rest = fragment_v6(&whole[..40], 17, 99, 16, false, &whole[56..]);
    assert_eq!(push(&mut defragmenter, START, &rest), Outcome::Complete(&whole));
}

#[test]
fn truncated_fragments_are_dropped() {
    let fragment = fragment_v4(1, 0, true, &data(64));
    let packet = Packet::parse(&fragment[..60], 0).unwrap();
    let mut defragmenter = Defragmenter::new(DefragSettings::default());
    let outcome = defragmenter.push(START, &packet, &fragment[..60], 0);
    assert_eq!(outcome, Outcome::Dropped(DefragDrop::Truncated));
}

#[test]
fn truncated_atomic_fragments_stay_truncated() {
    let whole = udp_v6(&data(64));
    let atomic = fragment_v6(&whole[..40], 17, 99, 0, false, &whole[40..]);
    let packet = Packet::parse(&atomic[..80], 0).unwrap();
    let mut defragmenter = Defragmenter::new(DefragSettings::default());
    let outcome = defragmenter.push(START, &packet, &atomic[..80], 0);
    assert_eq!(outcome, Outcome::Complete(&whole[..72]));
    assert!(defragmenter.is_empty());
}

#[test]
fn congestion_marks_are_kept() {
    let with_ecn = |ecn: [u8; 2]| {
        let mut fragments = split(&udp_v4(&data(40)), 20, &[3]);
        for (fragment, ecn) in fragments.iter_mut().zip(ecn) {
            fragment[1] = 0x20 | ecn;
        }
        last_of(&fragments).map(|whole| whole.map(|whole| whole[1]))
    };
    assert_eq!(with_ecn([2, 2]), Ok(Some(0x22)));
    assert_eq!(with_ecn([2, 3]), Ok(Some(0x23)));
    assert_eq!(with_ecn([3, 1]), Ok(Some(0x23)));
    assert_eq!(with_ecn([0, 3]), Err(DefragDrop::Ecn));
    assert_eq!(with_ecn([0, 2]), Ok(Some(0x20)));
}

#[test]
fn time_runs_from_the_first_fragment() {
    let headers = &udp_v6(&[])[..40];
    let v4 = |offset| fragment_v4(1, offset, true, &data(8));
    let v6 = |offset| fragment_v6(headers, 50, 1, offset, true, &data(8));
    let mut defragmenter = Defragmenter::new(DefragSettings::default());
    push(&mut defragmenter, START, &v4(0));
    push(&mut defragmenter, START, &v6(0));
    push(&mut defragmenter, START.plus_seconds(29), &v4(8));
    assert_eq!(defragmenter.next_deadline(), Some(START.plus_seconds(30)));
    defragmenter.advance(START.plus_seconds(30));
    assert_eq!((defragmenter.len(), defragmenter.statistics().expired), (1, 1));
    defragmenter.advance(START.plus_seconds(60));
    assert!(defragmenter.is_empty());
    assert_eq!((defragmenter.memory(), defragmenter.next_deadline()), (0, None));
}

#[test]
fn dropped_datagrams_are_forgotten_in_time() {
    let mut defragmenter = Defragmenter::new(DefragSettings::default());
    push(&mut defragmenter, START, &fragment_v4(1, 0, true, &data(9)));
    let good = fragment_v4(1, 0, true, &data(8));
    let before = push(&mut defragmenter, START.plus_nanos(29_999_999_999), &good);
    assert_eq!(before, Outcome::Dropped(DefragDrop::DatagramDropped));
    assert_eq!(push(&mut defragmenter, START.plus_seconds(30), &good), Outcome::Held);
}

#[test]
fn too_many_fragments() {
    let settings = DefragSettings { max_fragments: 4, ..DefragSettings::default() };
    let mut defragmenter = Defragmenter::new(settings);
    for index in 0..4 {
        let fragment = fragment_v4(1, index * 16, true, &data(8));
        assert_eq!(push(&mut defragmenter, START, &fragment), Outcome::Held);
    }
    let fifth = fragment_v4(1, 8, true, &data(8));
    assert_eq!(push(&mut defragmenter, START, &fifth), Outcome::Dropped(DefragDrop::TooMany));
}

#[test]
fn a_flood_evicts_the_oldest() {
    let settings = DefragSettings { memory: 20_000, ..DefragSettings::default() };
    let mut defragmenter = Defragmenter::new(settings);
    for identification in 0..1000 {
        let now = START.plus_nanos(u64::from(identification));
        assert_eq!(
            push(&mut defragmenter, now, &fragment_v4(identification, 0, true, &data(64))),
            Outcome::Held
        );
        assert!(defragmenter.memory() <= 20_000);
    }
    assert_eq!(defragmenter.len() as u64 + defragmenter.statistics().evicted, 1000);
    assert!(defragmenter.len() > 10);
    let last = |identification| fragment_v4(identification, 64, false, &data(8));
    assert!(matches!(push(&mut defragmenter, START, &last(999)), Outcome::Complete(_)));
    assert_eq!(push(&mut defragmenter, START, &last(0)), Outcome::Held);
}

#[test]
fn a_datagram_larger_than_the_limit_is_dropped() {
    let settings = DefragSettings { memory: 4000, ..DefragSettings::default() };
    let mut defragmenter = Defragmenter::new(settings);
    let big = fragment_v4(1, 0, true, &data(4096));
    assert_eq!(push(&mut defragmenter, START, &big), Outcome::Dropped(DefragDrop::Memory));
    assert!(defragmenter.memory() <= 4000);
}

proptest! {
    #[test]
    fn reassembly_undoes_fragmentation(
        kind in 0usize..3,
        payload in vec(any::<u8>(), 1..2000),
        cuts in vec(1usize..250, 0..20),
        order in any::<u64>(),
        duplicates in vec(any::<prop::sample::Index>(), 0..5),
    ) {
        let (whole, headers) = match kind {
            0 => (udp_v4(&payload), 20),
            1 => (udp_v6(&payload), 40),
            _ => (udp_v6_with_options(&payload), 48),
        };
        let mut fragments = split(&whole, headers, &cuts);
        let distinct = fragments.len();
        for duplicate in duplicates {
            if distinct > 1 {
                fragments.push(fragments[duplicate.index(distinct)].clone());
            }
        }
        let mut random = order;
        for index in (1..fragments.len()).rev() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            fragments.swap(index, (random >> 33) as usize % (index + 1));
        }

        let mut defragmenter = Defragmenter::new(DefragSettings::default());
        let mut completed = 0;
        for fragment in &fragments {
            match push(&mut defragmenter, START, fragment) {
                Outcome::Complete(datagram) => {
                    assert_eq!(datagram, &whole[..]);
                    completed += 1;
                }
                Outcome::Held | Outcome::Dropped(DefragDrop::Duplicate) => {}
                Outcome::Dropped(why) => panic!("{why}"),
            }
        }
        assert!(completed >= 1);
    }

    #[test]
    fn garbage_stays_within_the_limits(
        fragments in vec((0u16..40, 0usize..64, any::<bool>(), 0usize..200, any::<bool>(), 0u64..20), 1..300),
    ) {
        let settings = DefragSettings { memory: 8000, max_fragments: 6, ..DefragSettings::default() };
        let headers = udp_v6(&[])[..40].to_vec();
        let mut defragmenter = Defragmenter::new(settings);
        let mut now = START;
        for (identification, offset, more, length, v6, seconds) in fragments {
            now = now.plus_seconds(seconds);
            let bytes = if v6 {
                fragment_v6(&headers, 17, u32::from(identification), offset * 8, more, &data(length))
            } else {
                fragment_v4(identification, offset * 8, more, &data(length))
            };
            let Ok(packet) = Packet::parse(&bytes, 0) else { continue };
            if let Outcome::Complete(whole) = defragmenter.push(now, &packet, &bytes, 0) {
                let whole = Packet::parse_network(whole, 0).unwrap();
                assert_eq!((whole.missing, whole.fragment), (0, None));
            }
            assert!(defragmenter.memory() <= settings.memory);
            assert_eq!(defragmenter.datagrams.len(), defragmenter.deadlines.len());
            let counted = defragmenter.datagrams.values().map(Datagram::memory).sum::<usize>();
            assert_eq!(defragmenter.memory(), counted);
        }
        defragmenter.advance(now.plus_seconds(60));
        assert!(defragmenter.is_empty());
        assert_eq!(defragmenter.memory(), 0);
    }
}

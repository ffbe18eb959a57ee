//! CJ/T 188 water meters: the standard's own dialect and one that differs in everything, months, prices,
//! clock and valve. Frames are made here a second time.

use crate::host::{Host, bytes};
use jiff::civil::date;
use meter_sim::{BusKind, BusPlan, Cjt188Plan, Meters, Plan, Simulator};

const METER: &str = "78330011223344";

fn start(plan: Cjt188Plan) -> (Simulator, Host) {
    let bus = BusPlan::new("line", BusKind::Tcp, Meters::Cjt188(vec![plan]));
    let simulator = Simulator::start(Plan { buses: vec![bus] }).unwrap();
    let host = Host::connect(&simulator, "line");
    (simulator, host)
}

fn meter() -> Cjt188Plan {
    Cjt188Plan {
        address: METER.to_owned(),
        volume: 123_456,
        settled_volume: 120_000,
        months: vec![120_000, 110_000],
        clock: Some(date(2026, 3, 2).at(10, 11, 12, 0)),
        wake_up_bytes: 0,
        ..Cjt188Plan::default()
    }
}

fn frame(control: u8, data: &str) -> Vec<u8> {
    let data = bytes(data);
    let mut frame = bytes("6810 44332211003378");
    frame.extend([control, u8::try_from(data.len()).unwrap()]);
    frame.extend(data);
    let sum: u32 = frame.iter().map(|byte| u32::from(*byte)).sum();
    frame.extend([u8::try_from(sum % 256).unwrap(), 0x16]);
    frame
}

#[track_caller]
fn check(host: &mut Host, (control, asked): (u8, &str), (answer, answered): (u8, &str)) {
    let reply = host.ask(&frame(control, asked));
    assert_eq!(hex::encode(reply), hex::encode(frame(answer, answered)), "{asked}");
}

#[test]
fn the_standards_own_dialect() {
    let (_simulator, mut host) = start(meter());
    let current = "56341200 2C 00001200 2C 12111002032620 0000";
    check(&mut host, (0x01, "1F90 07"), (0x81, &format!("1F90 07 {current}")));
    check(&mut host, (0x01, "20D1 08"), (0x81, "20D1 08 00001200 2C"));
    check(&mut host, (0x01, "21D1 09"), (0x81, "21D1 09 00001100 2C"));
    check(&mut host, (0x01, "22D1 0A"), (0xC1, "0A 0002"));
    check(&mut host, (0x04, "15A0 0B 59592331122520"), (0x84, "15A0 0B 0000"));
    let current = "56341200 2C 00001200 2C 59592331122520 0000";
    check(&mut host, (0x01, "1F90 0C"), (0x81, &format!("1F90 0C {current}")));
    check(&mut host, (0x04, "15A0 0D 59592331022520"), (0xC4, "0D 0001"));
    let table = "500200 150000 200300 300000 800400";
    check(&mut host, (0x04, &format!("10A0 0E {table} 05")), (0x84, "10A0 0E 0000"));
    check(&mut host, (0x01, "0281 0F"), (0x81, &format!("0281 0F {table}")));
    check(&mut host, (0x04, &format!("10A0 10 {table} 29")), (0xC4, "10 0001"));
    check(&mut host, (0x04, "17A0 11 66"), (0xC4, "11 0001"));
    check(&mut host, (0x04, "17A0 12 99"), (0x84, "17A0 12 0100"));
}

#[test]
fn a_dialect_that_differs_in_everything() {
    let (_simulator, mut host) = start(Cjt188Plan {
        identifier_high_first: true,
        without_serial_number: true,
        unit_first: true,
        time_high_first: true,
        valve_codes: [0x66, 0x77],
        second_status: 0x08,
        ..meter()
    });
    let current = "2C 56341200 2C 00001200 20260302101112 0008";
    check(&mut host, (0x01, "901F"), (0x81, &format!("901F {current}")));
    check(&mut host, (0x01, "D121"), (0x81, "D121 2C 00001100"));
    check(&mut host, (0x04, "A015 20251231235959"), (0x84, "A015 0008"));
    check(&mut host, (0x04, "A017 77"), (0x84, "A017 0108"));
    check(&mut host, (0x04, "A017 99"), (0xC4, "0001"));
}

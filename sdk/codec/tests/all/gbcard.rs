//! Files of cards: any bytes at all, every file that can be built, and every bit of one turned over.

use polymeter_codec::gbcard::{
    CardType, Digits, Envelope, Family, Fault, Holder, Moment, Parameters, Prices, PricesNext,
    Purse, WrittenBack, is_empty,
};
use proptest::prelude::*;

fn digits() -> impl Strategy<Value = Digits> {
    (0_u64..1_000_000_000_000).prop_map(|number| Digits::from_text(&number.to_string()).unwrap())
}

/// A time that is one; all zeros are none, and no month is 0.
fn moment() -> impl Strategy<Value = Option<Moment>> {
    let parts = (0..=99_u8, 1..=12_u8, 1..=31_u8, 0..=23_u8, 0..=59_u8);
    prop::option::of(parts.prop_map(|(year, month, day, hour, minute)| Moment {
        year,
        month,
        day,
        hour,
        minute,
    }))
}

fn family() -> impl Strategy<Value = Family> {
    prop::sample::select(vec![Family::STATE_GRID, Family::SOUTH_GRID])
}

fn parameters() -> impl Strategy<Value = Parameters> {
    let holder = (digits(), digits(), 0..=3_u8).prop_map(|(meter, customer, kind)| Holder {
        meter,
        customer,
        kind: CardType::from_code(kind).unwrap(),
    });
    let money = prop::array::uniform2(0..=99_999_999_u32);
    let ratios = prop::array::uniform2(0..=999_999_u32);
    (any::<u8>(), any::<u32>(), moment(), money, ratios, prop::option::of(holder)).prop_map(
        |(updates, spare, prices_begin, alarms, ratios, holder)| Parameters {
            updates,
            spare,
            prices_begin,
            alarms,
            ratios,
            holder,
        },
    )
}

fn prices() -> impl Strategy<Value = PricesNext> {
    let number = || 0..=99_999_999_u32;
    let day = (1..=12_u8, 1..=31_u8, 0..=23_u8).prop_map(|(month, day, hour)| [month, day, hour]);
    let set = (
        prop::array::uniform32(number()),
        prop::array::uniform6(number()),
        prop::array::uniform7(number()),
        prop::array::uniform4(prop::option::of(day)),
    );
    (set, moment()).prop_map(|((prices, steps, step_prices, settlement), ladder_begins)| {
        PricesNext { set: Prices { prices, steps, step_prices, settlement }, ladder_begins }
    })
}

fn written_back() -> impl Strategy<Value = WrittenBack> {
    let numbers = (any::<u32>(), any::<u32>(), 0..=99_999_999_u32, 0..=999_999_u32);
    let ratios = prop::array::uniform2(0..=999_999_u32);
    (ratios, digits(), digits(), numbers, moment()).prop_map(
        |(ratios, meter, customer, (balance, count, overdrawn, wrong_cards), at)| WrittenBack {
            ratios,
            meter,
            customer,
            balance,
            count,
            overdrawn,
            wrong_cards,
            at,
        },
    )
}

proptest! {
    #[test]
    fn any_bytes_are_a_file_or_a_fault_with_a_name(bytes in prop::collection::vec(any::<u8>(), 0..260)) {
        let mut told = Vec::new();
        let mut say = |fault: Option<Fault>| told.extend(fault.map(|fault| fault.to_string()));
        say(Envelope::open(&bytes).err());
        say(Parameters::parse(&bytes, Family::STATE_GRID).err());
        say(Prices::parse(&bytes).err());
        say(PricesNext::parse(&bytes).err());
        say(WrittenBack::parse(&bytes).err());
        say(Purse::parse(&bytes).err());
        prop_assert!(told.iter().all(|text| !text.is_empty()));
    }

    #[test]
    fn what_is_built_is_what_is_parsed(
        parameters in parameters(), family in family(), next in prices(), back in written_back(),
        amount in any::<u32>(), count in any::<u32>(),
    ) {
        let file = parameters.build(family).unwrap();
        prop_assert_eq!(Parameters::parse(file.as_ref(), family), Ok(parameters));
        prop_assert!(!is_empty(file.as_ref()));
        prop_assert_eq!(PricesNext::parse(&next.build(family.user).unwrap()), Ok(next));
        prop_assert_eq!(Prices::parse(&next.set.build(family.user).unwrap()), Ok(next.set));
        prop_assert_eq!(WrittenBack::parse(&back.build().unwrap()), Ok(back));
        let purse = Purse { amount, count };
        prop_assert_eq!(Purse::parse(&purse.build()), Ok(purse));
    }

    /// One bit of a file that was torn never goes unseen; a file may be longer than its envelope.
    #[test]
    fn a_turned_bit_is_seen(parameters in parameters(), at in 0..32_usize, bit in 0..8_u8) {
        let file = parameters.build(Family::STATE_GRID).unwrap();
        let mut bytes = file.as_ref().to_vec();
        bytes.extend([0xFF; 3]);
        prop_assert_eq!(Parameters::parse(&bytes, Family::STATE_GRID), Ok(parameters));
        bytes[at] ^= 1 << bit;
        prop_assert!(Parameters::parse(&bytes, Family::STATE_GRID).is_err());
    }
}

#[test]
fn faults_name_the_place() {
    let holder = Holder {
        meter: Digits::from_text("1").unwrap(),
        customer: Digits::from_text("7").unwrap(),
        kind: CardType::Buy,
    };
    let built = Parameters::plain(Some(holder)).build(Family::STATE_GRID).unwrap();
    let file = built.as_ref();
    let check = |at: usize, byte: u8, summed: bool, expected: Fault| {
        let mut bytes = file.to_vec();
        if summed {
            bytes[43] = bytes[43].wrapping_add(byte).wrapping_sub(bytes[at]);
        }
        bytes[at] = byte;
        assert_eq!(Parameters::parse(&bytes, Family::STATE_GRID), Err(expected), "{at}");
    };
    check(0, 0x86, false, Fault::Start(0x86));
    check(1, 0x11, true, Fault::Command(0x11));
    check(3, 0x28, false, Fault::Short { have: 45, want: 46 });
    check(16, 0x0A, true, Fault::NotDecimal { at: 16 });
    check(10, 0x26, true, Fault::NoTime { at: 10 });
    check(35, 0xA1, true, Fault::NotDecimal { at: 30 });
    check(42, 0x04, true, Fault::CardType(4));
    check(44, 0x17, false, Fault::End(0x17));
    let (found, want) = (file[43], file[43].wrapping_add(1));
    check(5, 0x01, false, Fault::Sum { found, want });
    let setting = Parameters::plain(None).build(Family::STATE_GRID).unwrap();
    assert_eq!(setting.as_ref().len(), 32);
    // A setting card's command on the length of a user card's file.
    check(1, 0x06, true, Fault::Length { found: 39, want: 26 });
    assert!(is_empty(&[0xFF; 45]) && is_empty(&[0; 45]) && is_empty(&[]) && !is_empty(&[0, 0xFF]));
}

/// The offsets that the document names are those that the parts of a price file add up to.
#[test]
fn parts_of_prices_stand_where_the_document_has_them() {
    let set = Prices {
        prices: [1; 32],
        steps: [2; 6],
        step_prices: [3; 7],
        settlement: [Some([4, 4, 4]); 4],
    };
    let file = set.build(1).unwrap();
    assert_eq!(file[131..136], [1, 0, 0, 0, 2], "the ladder begins at 132");
    assert_eq!(file[155..160], [2, 0, 0, 0, 3], "its prices behind 6 steps");
    assert_eq!(file[183..187], [3, 4, 4, 4], "its days behind 7 prices");
    assert_eq!((file[195], file[197], file.len()), (4, 0x16, 198));
}

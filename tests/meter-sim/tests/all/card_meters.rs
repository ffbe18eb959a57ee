//! Whole lives of card meters, with cards written by hand from the documents: from the trial to the
//! end of the account, and a pull at every command of every insertion.

use meter_sim::card::acme::{self, AcmeKeys, AcmeState, AcmeWrittenBack, six_bytes};
use meter_sim::card::sg::{self, SgParameters, SgWrittenBack};
use meter_sim::card::{
    AcmeMeter, Card, CardError, CardFault, CardFaultKind, Chip, CpuCard, CpuKeys, PARAMETERS,
    PRICES_1, PRICES_2, PURSE, Purse, SgMeter, Shown, Stage, Trouble, WRITTEN_BACK,
};

const DEVICE: u64 = 2_600_000_042;
const CUSTOMER: u64 = 9_000_077;

fn credited(amount_fen: u32) -> Shown {
    Shown::Credited { amount_fen }
}

/// Both makers' devices, their cards and what a counter does to those.
trait Maker {
    fn insert(&mut self, card: &Card) -> Shown;
    fn purse(&mut self) -> &mut Purse;
    /// A user card by the hand of a counter.
    fn user(&self, number: u8, act: u8, count: u32, amount_fen: u32) -> Card;
    /// The next purchase on a card that there is.
    fn sell(&self, card: &Card, count: u32, amount_fen: u32);
    /// The count, balance and overdraft that the card brings home.
    fn brought_home(&self, card: &Card) -> Option<(u32, u32, u32)>;
    /// From the maker to the state in which it can be opened.
    fn clear(&mut self);
}

struct Acme(AcmeMeter, AcmeKeys);

fn acme() -> Acme {
    let keys = AcmeKeys { psc: b"a key of codes".to_vec(), data: b"a key of MACs".to_vec() };
    Acme(AcmeMeter::new(six_bytes(DEVICE), keys.clone()), keys)
}

impl Acme {
    fn card(&self, number: u8, state: AcmeState) -> Card {
        Card::sle4442(acme::written([number; 8], &state, &self.1))
    }

    fn maintenance(&self, purpose: u8) -> Card {
        self.card(200 + purpose, AcmeState::new(purpose, [0; 6]))
    }

    fn memory(card: &Card) -> Vec<u8> {
        card.truth().memory
    }
}

impl Maker for Acme {
    fn insert(&mut self, card: &Card) -> Shown {
        self.0.insert(card)
    }

    fn purse(&mut self) -> &mut Purse {
        &mut self.0.purse
    }

    fn user(&self, number: u8, act: u8, count: u32, amount_fen: u32) -> Card {
        let customer = six_bytes(CUSTOMER);
        let state = AcmeState::new(1, six_bytes(DEVICE));
        self.card(number, AcmeState { act, count, amount_fen, customer, ..state })
    }

    fn sell(&self, card: &Card, count: u32, amount_fen: u32) {
        let memory = Self::memory(card);
        let number = acme::number(&memory).unwrap();
        let state = AcmeState::read(&memory, number, &self.1).unwrap();
        let (_, (at, sequence)) = acme::counting(&memory, acme::STATES, acme::STATE_BYTES);
        let next = AcmeState { sequence, act: 2, count, amount_fen, ..state };
        card.alter(|chip| {
            let Chip::Sle4442(chip) = chip else { panic!("another chip") };
            chip.memory_mut()[at..at + 52].copy_from_slice(&next.slot(number, &self.1));
        });
    }

    fn brought_home(&self, card: &Card) -> Option<(u32, u32, u32)> {
        let back = AcmeWrittenBack::read(&Self::memory(card))?;
        Some((back.count, back.balance_fen, back.overdrawn_fen))
    }

    fn clear(&mut self) {
        assert_eq!(self.insert(&self.maintenance(5)), Shown::End);
        assert_eq!(self.insert(&self.maintenance(4)), Shown::Cleared);
    }
}

struct Sg(SgMeter, CpuKeys);

fn state_grid() -> Sg {
    let issuer = CpuKeys { internal: [0x1A; 16], external: [0x2B; 16], mac: [0x3C; 16] };
    Sg(SgMeter::new(six_bytes(DEVICE), issuer), issuer)
}

fn parameters(act: u8) -> SgParameters {
    SgParameters {
        command: sg::USER,
        updates: 0,
        switch_time: [0; 5],
        alarms_fen: [2_000, 1_000],
        current_ratio: 40,
        voltage_ratio: 1,
        meter: six_bytes(DEVICE),
        customer: six_bytes(CUSTOMER),
        act,
    }
}

fn preset() -> SgParameters {
    SgParameters { command: sg::PRESET, updates: sg::ALL_PARAMETERS, ..parameters(0) }
}

/// A file of prices whose first price and first step are these bytes.
fn prices(bytes: usize, price: u8, step: u8) -> Vec<u8> {
    let mut data = vec![0; bytes - 6];
    (data[3], data[131]) = (price, step);
    sg::wrapped(0x01, &data)
}

impl Sg {
    fn card(&self, number: u8, parameters: &SgParameters, count: u32, amount_fen: u32) -> Card {
        let card = CpuCard::blank([number; 8], &self.1);
        Card::cpu(
            card.with_file(PARAMETERS, &[&parameters.file()[..], &[0; 13]].concat()[..45])
                .with_file(PURSE, &sg::purse(amount_fen, count)),
        )
    }
}

fn write(card: &Card, file: u8, bytes: &[u8]) {
    card.alter(|chip| {
        let Chip::Cpu(chip) = chip else { panic!("another chip") };
        chip.file_mut(file).unwrap()[..bytes.len()].copy_from_slice(bytes);
    });
}

impl Maker for Sg {
    fn insert(&mut self, card: &Card) -> Shown {
        self.0.insert(card)
    }

    fn purse(&mut self) -> &mut Purse {
        &mut self.0.purse
    }

    fn user(&self, number: u8, act: u8, count: u32, amount_fen: u32) -> Card {
        self.card(number, &parameters(act), count, amount_fen)
    }

    fn sell(&self, card: &Card, count: u32, amount_fen: u32) {
        write(card, PARAMETERS, &parameters(sg::BUYS).file());
        write(card, WRITTEN_BACK, &[0; 49]);
        write(card, PURSE, &sg::purse(amount_fen, count));
    }

    fn brought_home(&self, card: &Card) -> Option<(u32, u32, u32)> {
        let back = SgWrittenBack::read(&card.file(WRITTEN_BACK).unwrap())?;
        assert_eq!((back.meter, back.customer), (six_bytes(DEVICE), six_bytes(CUSTOMER)));
        Some((back.count, back.balance_fen, back.overdrawn_fen))
    }

    /// Its makers' cards know no reset and no clearing: the setting card does both.
    fn clear(&mut self) {
        let card = self.card(200, &preset(), 0, 0);
        assert_eq!(self.insert(&card), Shown::Set);
    }
}

/// Reset, clear, open, buy three times, read back, replace, close.
fn life(mut device: impl Maker) {
    let mut card = device.user(1, 1, 1, 5_000);
    assert_eq!(device.purse().stage, Stage::Trial);
    assert_eq!(device.insert(&card), Shown::Error(CardError::NotCleared));
    device.clear();
    assert!(!device.purse().is_closed());
    device.purse().overdraft_limit_fen = 500;
    assert_eq!(device.insert(&card), credited(5_000));
    assert_eq!(device.brought_home(&card), Some((1, 5_000, 0)));
    assert_eq!(device.insert(&card), Shown::Known);

    device.purse().use_up(5_300);
    assert!(device.purse().is_closed());
    for (count, amount_fen) in [(2, 1_000), (3, 2_000), (4, 3_000)] {
        device.sell(&card, count, amount_fen);
        assert_eq!(device.insert(&card), credited(amount_fen));
        assert_eq!(device.insert(&card), Shown::Known);
    }
    assert_eq!(device.brought_home(&card), Some((4, 5_700, 0)));
    device.purse().use_up(6_200);
    assert!(!device.purse().is_closed());
    assert_eq!(device.insert(&card), Shown::Known);
    assert_eq!(device.brought_home(&card), Some((4, 0, 500)));

    // Sold to, and lost before the device saw it: the new card carries the same purchase, once.
    device.sell(&card, 5, 4_000);
    let lost = card;
    card = device.user(2, 3, 5, 4_000);
    assert_eq!(device.insert(&card), credited(4_000));
    assert_eq!(device.insert(&card), Shown::Known);
    assert_eq!(device.insert(&lost), Shown::Error(CardError::Serial));
    assert_eq!((device.purse().money_fen, device.purse().credited_fen), (3_500, 15_000));

    device.sell(&card, 6, 700);
    let yesterday = card.image();
    assert_eq!(device.insert(&card), credited(700));
    device.sell(&card, 7, 800);
    assert_eq!(device.insert(&card), credited(800));
    assert_eq!(device.insert(&yesterday), Shown::Error(CardError::Count));
    device.sell(&card, 9, 900);
    assert_eq!(device.insert(&card), Shown::Error(CardError::Count));
    assert_eq!((device.purse().count, device.purse().credited_fen), (7, 16_500));
}

#[test]
fn an_acme_meter_lives_from_its_reset_to_its_clearing_by_cards_alone() {
    life(acme());

    let mut device = acme();
    device.clear();
    let card = device.user(1, 1, 0, 0);
    assert_eq!(device.insert(&card), Shown::Known);
    assert_eq!(device.purse().stage, Stage::Opened);
    let check = device.maintenance(3);
    assert_eq!(device.insert(&check), Shown::Checked);
    assert_eq!(device.brought_home(&check), Some((0, 0, 0)));
    let carried = [0, 0, 0, 7, 0xFF, 0xFF, 0xFF, 0xFF];
    let setting = AcmeState { carried, ..AcmeState::new(2, six_bytes(DEVICE)) };
    assert_eq!(device.insert(&device.card(9, setting)), Shown::Set);
    assert_eq!((device.purse().alarm_fen, device.purse().overdraft_limit_fen), (7, 0));
    // Closed: whatever was left is gone, and so is the customer.
    assert_eq!(device.insert(&device.maintenance(4)), Shown::Cleared);
    assert_eq!((device.purse().customer, device.purse().money_fen), (None, 0));
    assert_eq!(device.insert(&device.user(1, 2, 1, 5)), Shown::Error(CardError::NotOpened));
}

#[test]
fn a_state_grid_meter_lives_by_the_decision_table() {
    life(state_grid());
}

#[test]
fn each_wrong_card_has_its_own_error_and_moves_no_money() {
    let mut device = acme();
    device.clear();
    device.insert(&device.user(1, 1, 1, 100));
    let state = AcmeState {
        customer: six_bytes(CUSTOMER),
        act: 2,
        count: 2,
        amount_fen: 5,
        ..AcmeState::new(1, six_bytes(DEVICE))
    };
    let others = AcmeKeys { psc: device.1.psc.clone(), data: vec![1] };
    let wrong = [
        (device.card(1, AcmeState { device: six_bytes(3), ..state }), CardError::Device),
        (device.card(1, AcmeState { customer: [9; 6], ..state }), CardError::Customer),
        (device.card(2, state), CardError::Serial),
        (device.card(1, AcmeState { purpose: 0, ..state }), CardError::Type),
        (device.card(1, AcmeState { act: 4, ..state }), CardError::Type),
        (device.card(1, AcmeState { act: 1, customer: [9; 6], ..state }), CardError::NotCleared),
        (Card::sle4442(acme::written([1; 8], &state, &others)), CardError::Mac),
        (Card::sle4442(meter_sim::card::Sle4442::blank()), CardError::Type),
        (Card::cpu(CpuCard::blank([1; 8], &CpuKeys::same([0; 16]))), CardError::NoAnswer),
    ];
    for (card, error) in wrong {
        assert_eq!(device.insert(&card), Shown::Error(error));
        assert_eq!((card.truth().presented, card.truth().wrong), (0, 0), "{error:?}");
    }
    device.purse().hoarding_limit_fen = 104;
    assert_eq!(device.insert(&device.card(1, state)), Shown::Error(CardError::Hoarding));
    // A card with one try left is not killed, and its purchase is in all the same.
    device.purse().hoarding_limit_fen = 105;
    let dying = Card::sle4442(acme::written([1; 8], &state, &device.1).with_tries(1));
    assert_eq!(device.insert(&dying), Shown::Error(CardError::KeyState));
    assert_eq!((device.purse().credits, dying.truth().tries_left), (2, Some(1)));
}

#[test]
fn each_wrong_state_grid_card_has_its_own_error_and_moves_no_money() {
    let mut device = state_grid();
    device.clear();
    device.insert(&device.user(1, 1, 1, 100));
    let buys = parameters(sg::BUYS);
    let elsewhere = SgParameters { meter: six_bytes(3), ..buys };
    let somebody = SgParameters { customer: six_bytes(3), ..buys };
    let others = CpuKeys { internal: [9; 16], ..device.1 };
    let foreign = CpuCard::blank([1; 8], &others).with_file(PARAMETERS, &buys.file());
    let forged = CpuKeys { mac: [9; 16], ..device.1 };
    let forged = CpuCard::blank([1; 8], &forged).with_file(PARAMETERS, &buys.file());
    let short = CpuCard::blank([1; 8], &device.1).with_file(PARAMETERS, &[0x68, 1]);
    let used = device.user(1, sg::BUYS, 2, 5);
    write(&used, WRITTEN_BACK, &[7; 49]);
    let silent = CpuCard::blank([1; 8], &device.1).with_atr(&[0x3B, 0x00]);
    let wrong = [
        (device.card(1, &elsewhere, 2, 5), CardError::Device, 33),
        (device.card(1, &somebody, 2, 5), CardError::Customer, 34),
        (device.user(2, sg::BUYS, 2, 5), CardError::Serial, 32),
        (device.user(2, sg::OPENS, 1, 5), CardError::NotCleared, 32),
        (device.user(1, 4, 2, 5), CardError::Type, 32),
        (device.card(200, &preset(), 0, 5), CardError::NotCleared, 32),
        (device.user(1, sg::BUYS, 0, 5), CardError::Count, 35),
        (used, CardError::WrittenBackAlready, 35),
        (Card::cpu(foreign), CardError::Authentication, 32),
        (Card::cpu(forged), CardError::Mac, 32),
        (Card::cpu(short), CardError::Format, 32),
        (Card::cpu(silent), CardError::NoAnswer, 32),
    ];
    for (card, error, displayed) in wrong {
        assert_eq!(device.insert(&card), Shown::Error(error));
        assert_eq!((error.displayed(), card.truth().wrong), (displayed, 0), "{error:?}");
    }
    // Two ahead: the card learns where the meter stands.
    let ahead = device.user(1, sg::BUYS, 3, 5);
    assert_eq!(device.insert(&ahead), Shown::Error(CardError::Count));
    assert_eq!(device.brought_home(&ahead), Some((1, 100, 0)));
    device.purse().hoarding_limit_fen = 104;
    let much = device.user(1, sg::BUYS, 2, 5);
    assert_eq!(device.insert(&much), Shown::Error(CardError::Hoarding));
    assert_eq!(CardError::Hoarding.displayed(), 36);
    device.purse().trouble = Some(Trouble::SecurityModule);
    assert_eq!(device.insert(&much), Shown::Error(CardError::SecurityModule));
    assert_eq!((device.purse().credits, CardError::SecurityModule.displayed()), (1, 31));
}

#[test]
fn a_buying_card_changes_the_prices_to_come_and_no_others() {
    let mut device = state_grid();
    device.clear();
    let with_prices = |device: &Sg, act, count, price: u8| {
        let all = SgParameters { updates: 0x8F, alarms_fen: [price.into(), 0], ..parameters(act) };
        let card = device.card(1, &all, count, 0);
        write(&card, PRICES_1, &prices(198, price, price + 1));
        write(&card, PRICES_2, &prices(203, price + 2, price + 3));
        card
    };
    let held = |meter: &SgMeter| {
        let [now, next] = &meter.prices;
        let [ladder, next_ladder] = &meter.ladders;
        (now[3], next[3], ladder[3], next_ladder[3])
    };
    let opening = with_prices(&device, sg::OPENS, 0, 10);
    assert_eq!(device.insert(&opening), credited(0));
    assert_eq!(held(&device.0), (10, 12, 11, 13));
    assert_eq!((device.0.ladders[0].len(), device.0.ladders[1].len()), (64, 69));
    assert_eq!((device.0.ratios, device.0.alarms_fen), ([40, 1], [10, 0]));

    // Alarms and ratios are no prices either.
    let buying = with_prices(&device, sg::BUYS, 1, 20);
    assert_eq!(device.insert(&buying), credited(0));
    assert_eq!((held(&device.0), device.0.alarms_fen), ((10, 22, 11, 23), [10, 0]));

    // With the same count they are refreshed only while the card brings nothing home.
    let again = with_prices(&device, sg::BUYS, 1, 30);
    assert_eq!(device.insert(&again), Shown::Known);
    assert_eq!(held(&device.0), (10, 32, 11, 33));
    write(&again, PRICES_2, &prices(203, 42, 43));
    assert_eq!(device.insert(&again), Shown::Known);
    assert_eq!(held(&device.0), (10, 32, 11, 33));
}

/// Pulls the card at every command of the insertion that `ready` prepares, in each of three ways, then
/// puts it in again.
fn pulls<M: Maker>(ready: impl Fn() -> (M, Card)) -> usize {
    let (mut device, card) = ready();
    let before = card.commands();
    assert_eq!(device.insert(&card), credited(250));
    let commands = card.commands() - before;
    let mut cuts = 0;
    for at in 1..=commands {
        for kind in [
            CardFaultKind::PulledBefore,
            CardFaultKind::PulledWithin { bytes: 7 },
            CardFaultKind::PulledAfter,
        ] {
            let (mut device, card) = ready();
            let credited_fen = device.purse().credited_fen;
            card.fault(CardFault { at, kind });
            assert_eq!(device.insert(&card), Shown::Error(CardError::PulledEarly));
            let again = device.insert(&card);
            assert!(
                matches!(again, Shown::Known | Shown::Credited { .. }),
                "{at} {kind:?}: {again:?}"
            );
            assert_eq!(device.purse().credited_fen, credited_fen + 250, "{at} {kind:?}");
            let home = device.brought_home(&card).map(|(count, ..)| count);
            assert_eq!(home, Some(device.purse().count), "{at} {kind:?}");
            assert_eq!(card.truth().wrong, 0);
            cuts += 1;
        }
    }
    cuts
}

#[test]
fn a_card_pulled_from_a_meter_at_any_command_is_taken_once() {
    fn opened<M: Maker>(mut device: M) -> (M, Card) {
        device.clear();
        let card = device.user(1, 1, 1, 100);
        assert_eq!(device.insert(&card), credited(100));
        device.sell(&card, 2, 250);
        (device, card)
    }
    fn fresh<M: Maker>(mut device: M) -> (M, Card) {
        device.clear();
        let card = device.user(1, 1, 1, 250);
        (device, card)
    }
    let cuts = [
        pulls(|| opened(acme())),
        pulls(|| fresh(acme())),
        pulls(|| opened(state_grid())),
        pulls(|| fresh(state_grid())),
    ];
    println!("card meters: {} cut points, 0 lost, 0 doubled", cuts.iter().sum::<usize>());
    assert!(cuts.iter().all(|cuts| *cuts > 10), "{cuts:?}");
}

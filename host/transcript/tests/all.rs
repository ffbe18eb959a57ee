//! What is written reads back as the same, and no text makes reading panic.

use polymeter_transcript::{
    CardAct, CardContents, CardIdentity, CardOrder, Collision, Content, ControlOutcome, Credit,
    Decimal, Difference, Diversification, DriverError, Entry, Evidence, Explanation, Fault, Found,
    Identity, InsertedCard, Key, Level, LocalTime, Measurement, Opening, Order, Outcome, Player,
    Purchase, Receipt, Refusal, Request, SearchStep, Secret, SellOutcome, SetOutcome, SlotAct,
    SlotAnswer, Snapshot, Step, TokenOrder, Told, Transcript, Value, VaultAct, WrittenBack,
    rendered,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// Texts as a hostile device may return them: breaks, escapes, marks of the format itself.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ -~\n\r\t\u{1b}\u{202e}\u{2028}\u{85}#=/\\\\\"(){}.:\\[\\]]{0,12}",
        Just("ends in ...".to_owned()),
        Just("result: forged\nverdict: confirmed".to_owned()),
    ]
}

fn blob() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..20)
}

fn time() -> impl Strategy<Value = LocalTime> {
    any::<(u16, u8, u8, u8, u8, u8)>().prop_map(|(year, month, day, hour, minute, second)| {
        LocalTime { year, month, day, hour, minute, second }
    })
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<(i64, i8)>().prop_map(|(mantissa, scale)| Value::Number(Decimal { mantissa, scale })),
        text().prop_map(Value::Text),
        any::<bool>().prop_map(Value::Flag),
        blob().prop_map(Value::Bytes),
        time().prop_map(Value::Time),
    ]
}

/// Names differ: a call cannot give one argument twice.
fn extras() -> impl Strategy<Value = Vec<(String, Value)>> {
    vec((text(), value()), 0..4).prop_map(|mut extras| {
        extras.sort_by(|(a, _), (b, _)| a.cmp(b));
        extras.dedup_by(|(a, _), (b, _)| a == b);
        extras
    })
}

fn credit() -> impl Strategy<Value = Credit> {
    (0..5_u16, any::<u64>()).prop_map(|(quantity, amount)| Credit { quantity, amount })
}

fn purchase() -> impl Strategy<Value = Purchase> {
    (any::<u32>(), credit()).prop_map(|(count, credit)| Purchase { count, credit })
}

fn told() -> impl Strategy<Value = Told> {
    (text(), extras(), time(), blob()).prop_map(|(address, parameters, now, nonce)| Told {
        address,
        parameters,
        now,
        nonce,
    })
}

fn token_order() -> impl Strategy<Value = TokenOrder> {
    (any::<u16>(), option::of(purchase()), any::<u64>(), extras()).prop_map(
        |(kind, purchase, value, change)| {
            let credit = purchase.map(|purchase| purchase.credit);
            TokenOrder { kind, credit, value, change }
        },
    )
}

fn card_order() -> impl Strategy<Value = CardOrder> {
    (any::<u16>(), text(), text(), option::of(purchase()), extras()).prop_map(
        |(purpose, region, customer_number, purchase, parameters)| CardOrder {
            purpose,
            region,
            customer_number,
            purchase,
            parameters,
        },
    )
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        Just(Request::Describe),
        told().prop_map(Request::Probe),
        told().prop_map(Request::Read),
        (told(), text(), purchase()).prop_map(|(told, customer_number, purchase)| {
            let Purchase { count, credit } = purchase;
            Request::Open(told, Opening { customer_number, credit, count })
        }),
        (told(), text(), purchase()).prop_map(|(told, customer_number, purchase)| Request::Sell(
            told,
            Order { customer_number, purchase }
        )),
        (told(), text(), purchase()).prop_map(|(told, customer_number, purchase)| {
            Request::Refund(told, Order { customer_number, purchase })
        }),
        told().prop_map(Request::Clear),
        (told(), token_order(), option::of(any::<u32>()))
            .prop_map(|(told, order, last)| Request::Plan(told, order, last)),
        (told(), token_order(), option::of(any::<u32>()))
            .prop_map(|(told, order, number)| Request::Issue(told, order, number)),
        (told(), option::of(any::<u32>())).prop_map(|(told, count)| Request::Check(told, count)),
        (told(), any::<u16>(), option::of(time())).prop_map(|(told, command, valid_until)| {
            Request::Control { told, command, valid_until }
        }),
        (told(), extras()).prop_map(|(told, extras)| Request::SetParameters(told, extras)),
        (told(), any::<u16>()).prop_map(|(told, way)| Request::SetClock(told, way)),
        (told(), text()).prop_map(|(told, digits)| Request::Enter(told, digits)),
        (told(), text(), time(), option::of(blob()), any::<u32>()).prop_map(
            |(told, kind, since, position, questions)| {
                Request::ReadRecords { told, kind, since, position, questions }
            }
        ),
        blob().prop_map(Request::Decode),
        told().prop_map(Request::CardIdentify),
        told().prop_map(Request::CardCheck),
        told().prop_map(Request::CardClear),
        (0..5_u8, told(), card_order()).prop_map(|(act, told, order)| {
            let act = match act {
                0 => CardAct::Open,
                1 => CardAct::Sell,
                2 => CardAct::Replace,
                3 => CardAct::TakeBack,
                _ => CardAct::Make,
            };
            Request::Card(act, told, order)
        }),
        (told(), text(), option::of(blob()), any::<u32>()).prop_map(
            |(told, way, position, questions)| {
                let told = Told { address: String::new(), ..told };
                Request::Search { told, way, position, questions }
            }
        ),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        (2..9_u16, text()).prop_map(|(code, detail)| Fault::Refused { code, detail }),
        Just(Fault::CutOff),
    ]
}

fn silence() -> impl Strategy<Value = Fault> {
    text().prop_map(|detail| Fault::Refused { code: 1, detail })
}

fn key() -> impl Strategy<Value = Key> {
    let step = (any::<u16>(), blob())
        .prop_map(|(algorithm, factor)| Diversification { algorithm, factor });
    (text(), vec(step, 0..3)).prop_map(|(label, path)| Key { label, path })
}

fn content() -> impl Strategy<Value = Content> {
    (blob(), any::<bool>()).prop_map(|(bytes, masked)| {
        if masked { Content::masked(&bytes) } else { Content::Plain(bytes) }
    })
}

fn act() -> impl Strategy<Value = VaultAct> {
    let keyed = (key(), any::<u16>(), blob(), blob(), blob(), content());
    (keyed, any::<u32>(), 0..4_u8).prop_map(|(keyed, length, verb)| {
        let (key, algorithm, iv, associated, data, content) = keyed;
        match verb {
            0 => VaultAct::Mac { key, algorithm, iv, data },
            1 => VaultAct::Encrypt { key, algorithm, iv, associated, data: content },
            2 => VaultAct::Decrypt { key, algorithm, iv, associated, data },
            _ => VaultAct::Random { length },
        }
    })
}

fn secret() -> impl Strategy<Value = Secret> {
    prop_oneof![
        (key(), blob()).prop_map(|(key, factor)| Secret::OfVault(key, factor)),
        blob().prop_map(Secret::Published),
    ]
}

/// An act of the slot and an answer of its kind.
fn slot() -> impl Strategy<Value = (SlotAct, SlotAnswer)> {
    let done = |act| (act, SlotAnswer::Done);
    prop_oneof![
        (any::<u16>(), blob(), blob()).prop_map(|(kind, atr, uid)| {
            (SlotAct::Inserted, SlotAnswer::Card(InsertedCard { kind, atr, uid }))
        }),
        (blob(), blob()).prop_map(|(command, answer)| {
            (SlotAct::Transmit(command), SlotAnswer::Bytes(answer))
        }),
        (any::<u32>(), any::<u32>(), blob()).prop_map(|(offset, length, bytes)| {
            (SlotAct::Read { offset, length }, SlotAnswer::Bytes(bytes))
        }),
        (any::<u32>(), blob())
            .prop_map(move |(offset, bytes)| done(SlotAct::Write { offset, bytes })),
        (any::<u16>(), secret()).prop_map(move |(zone, code)| done(SlotAct::Erase { zone, code })),
        (any::<u16>(), any::<u8>())
            .prop_map(|(code, tries)| (SlotAct::TriesLeft { code }, SlotAnswer::Tries(tries))),
        (any::<u16>(), secret())
            .prop_map(move |(code, presented)| done(SlotAct::Verify { code, presented })),
        (any::<u16>(), secret())
            .prop_map(move |(code, presented)| done(SlotAct::SetCode { code, presented })),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let level =
        prop_oneof![Just(Level::Trace), Just(Level::Info), Just(Level::Warn), Just(Level::Error)];
    prop_oneof![
        blob().prop_map(|bytes| Step::Send { bytes: Some(bytes), answer: Ok(()) }),
        (option::of(blob()), fault())
            .prop_map(|(bytes, fault)| Step::Send { bytes, answer: Err(fault) }),
        (option::of(any::<u32>()), blob())
            .prop_map(|(want, bytes)| Step::Receive { want, answer: Ok(bytes) }),
        (option::of(any::<u32>()), prop_oneof![fault(), silence()])
            .prop_map(|(want, fault)| Step::Receive { want, answer: Err(fault) }),
        any::<u32>().prop_map(|bytes| Step::Drain { answer: Ok(bytes) }),
        prop_oneof![fault(), silence()].prop_map(|fault| Step::Drain { answer: Err(fault) }),
        (act(), content()).prop_map(|(act, content)| Step::Vault { act, answer: Ok(content) }),
        (act(), fault()).prop_map(|(act, fault)| Step::Vault { act, answer: Err(fault) }),
        slot().prop_map(|(act, answer)| Step::Slot { act, answer: Ok(answer) }),
        (slot(), prop_oneof![fault(), silence()])
            .prop_map(|((act, _), fault)| Step::Slot { act, answer: Err(fault) }),
        (level, text()).prop_map(|(level, message)| Step::Log { level, message }),
        any::<u64>().prop_map(|steps| Step::Unwritten { steps }),
    ]
}

fn refusal() -> impl Strategy<Value = Refusal> {
    (any::<u16>(), text(), option::of(text())).prop_map(|(code, detail, device_code)| Refusal {
        code,
        detail,
        device_code,
    })
}

fn measurements() -> impl Strategy<Value = Vec<Measurement>> {
    let one =
        (text(), value(), any::<u16>(), 0..3_u16).prop_map(|(register, value, unit, quality)| {
            Measurement { register, value, unit, quality }
        });
    vec(one, 0..3)
}

fn search_step() -> impl Strategy<Value = SearchStep> {
    let found = (text(), text(), extras()).prop_map(|(address, model, extras)| Found {
        address,
        model,
        extras,
    });
    let collision = (text(), text(), any::<bool>())
        .prop_map(|(asked, detail, narrowed)| Collision { asked, detail, narrowed });
    let counts = (any::<u32>(), any::<u32>(), option::of(blob()));
    (vec(found, 0..3), vec(collision, 0..3), counts).prop_map(
        |(found, collisions, (done, total, next))| SearchStep {
            found,
            collisions,
            done,
            total,
            next,
        },
    )
}

fn card_identity() -> impl Strategy<Value = CardIdentity> {
    let texts = (text(), text(), text(), text(), text());
    (any::<u16>(), texts).prop_map(
        |(purpose, (vendor_code, region, customer_number, device, serial))| CardIdentity {
            vendor_code,
            purpose,
            region,
            customer_number,
            device,
            serial,
        },
    )
}

fn card_contents() -> impl Strategy<Value = CardContents> {
    let back = (any::<u32>(), option::of(credit()), option::of(time()), measurements(), extras())
        .prop_map(|(count, balance, at, measurements, extras)| WrittenBack {
            count,
            balance,
            at,
            measurements,
            extras,
        });
    (card_identity(), option::of(purchase()), any::<u16>(), option::of(back), extras()).prop_map(
        |(identity, purchase, taken, written_back, extras)| CardContents {
            identity,
            purchase,
            taken,
            written_back,
            extras,
        },
    )
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        (text(), text(), extras()).prop_map(|(address, model, extras)| Outcome::Identity(
            Identity { address, model, extras }
        )),
        (measurements(), any::<u16>(), extras()).prop_map(|(measurements, supply, extras)| {
            Outcome::Snapshot(Snapshot { measurements, supply, extras })
        }),
        (any::<u32>(), option::of(credit()), extras()).prop_map(|(count, balance, extras)| {
            Outcome::Sell(SellOutcome::Confirmed(Receipt { count, balance, extras }))
        }),
        refusal().prop_map(|refusal| Outcome::Sell(SellOutcome::Refused(refusal))),
        text().prop_map(|why| Outcome::Control(ControlOutcome::Unknown(why))),
        Just(Outcome::Set(SetOutcome::Confirmed)),
        (any::<u32>(), option::of(purchase()), option::of(credit())).prop_map(
            |(count, purchase, balance)| Outcome::Evidence(Evidence { count, purchase, balance })
        ),
        (text(), measurements(), extras()).prop_map(|(address, measurements, extras)| {
            Outcome::Explanation(Ok(Explanation { address, measurements, extras }))
        }),
        text().prop_map(|why| Outcome::Explanation(Err(why))),
        search_step().prop_map(Outcome::Search),
        option::of(card_identity()).prop_map(Outcome::CardIdentity),
        card_contents().prop_map(Outcome::CardContents),
        refusal().prop_map(|Refusal { code, detail, device_code }| Outcome::Error(DriverError {
            code,
            detail,
            device_code
        })),
        text().prop_map(Outcome::Trap),
        text().prop_map(|used| Outcome::Limit { limit: "cpu-ticks".to_owned(), used }),
    ]
}

fn transcript() -> impl Strategy<Value = Transcript> {
    let entry =
        (option::of(0..u64::MAX), step()).prop_map(|(at_us, step)| Entry { line: 0, at_us, step });
    let head = ("[a-z][a-z ,.0-9]{0,20}[a-z]", option::of("[a-z0-9.]{1,12}"));
    let limits = vec(("[a-z-]{1,12}", any::<u64>()), 0..3);
    let verdict = option::of("not-sent [a-z ]{0,12}[a-z]");
    (head, limits, request(), vec(entry, 0..8), outcome(), verdict).prop_map(
        |((source, driver), limits, request, entries, outcome, verdict)| Transcript {
            name: String::new(),
            source,
            driver,
            limits,
            request,
            request_line: 0,
            entries,
            result: rendered(&outcome),
            result_line: 0,
            verdict,
        },
    )
}

/// Without the line numbers, which only a text has.
fn unnumbered(mut transcript: Transcript) -> Transcript {
    transcript.request_line = 0;
    transcript.result_line = 0;
    transcript.entries.iter_mut().for_each(|entry| entry.line = 0);
    transcript
}

/// Takes every step as it stands there.
fn walk(transcript: &Transcript, outcome: &Outcome) -> Result<(), Difference> {
    let mut player = Player::new(transcript);
    for entry in &transcript.entries {
        match &entry.step {
            Step::Send { bytes, .. } => {
                let _ = player.send(&bytes.clone().unwrap_or_default());
            }
            Step::Receive { want, .. } => {
                let _ = player.receive(want.unwrap_or(7));
            }
            Step::Drain { .. } => {
                let _ = player.drain();
            }
            Step::Vault { act, .. } => {
                let _ = player.vault(act);
            }
            Step::Slot { act, .. } => {
                let _ = player.slot(act);
            }
            Step::Log { level, message } => player.log(*level, message),
            Step::Unwritten { .. } => {}
        }
    }
    player.finish(outcome)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_written_reads_back(written in transcript()) {
        let text = written.to_string();
        let read = Transcript::parse("", &text).map_err(|error| {
            TestCaseError::fail(format!("{error}\n{text}"))
        })?;
        prop_assert_eq!(unnumbered(read), written);
    }

    #[test]
    fn a_driver_that_does_what_was_written_passes(
        mut written in transcript(), outcome in outcome()
    ) {
        written.entries.retain(|entry| !matches!(entry.step, Step::Unwritten { .. }));
        written.result = rendered(&outcome);
        let read = Transcript::parse("t", &written.to_string()).expect("reads back");
        prop_assert_eq!(walk(&read, &outcome), Ok(()));
    }

    #[test]
    fn hidden_is_hidden_and_still_recognised(written in transcript()) {
        let hidden = written.clone().hidden();
        for (entry, plain) in hidden.entries.iter().zip(&written.entries) {
            if let Step::Vault { act: VaultAct::Encrypt { data, .. }, .. } = &entry.step {
                let is_masked = matches!(data, Content::Masked { .. });
                prop_assert!(is_masked, "{}", entry);
            }
            if let Step::Vault { act: VaultAct::Decrypt { .. }, answer: Ok(content) } = &entry.step {
                let is_masked = matches!(content, Content::Masked { .. });
                prop_assert!(is_masked, "{}", entry);
            }
            if let (Step::Vault { act, .. }, Step::Vault { answer, .. }) = (&plain.step, &entry.step)
            {
                let mut one = hidden.clone();
                one.entries = vec![entry.clone()];
                prop_assert_eq!(&Player::new(&one).vault(act), answer);
            }
        }
    }

    #[test]
    fn no_text_makes_reading_panic(text in any::<String>()) {
        let _ = Transcript::parse("", &text);
    }

    #[test]
    fn nor_does_a_spoilt_transcript(
        written in transcript(), at in any::<prop::sample::Index>(), instead in text()
    ) {
        let mut text: Vec<char> = written.to_string().chars().collect();
        let at = at.index(text.len());
        text.splice(at..=at, instead.chars());
        let _ = Transcript::parse("", &text.into_iter().collect::<String>());
    }
}

fn parsed(steps: &str) -> Transcript {
    let text = format!("source: x\ncall: read\n{steps}\nresult: confirmed\n");
    Transcript::parse("small", &text).expect("a transcript")
}

#[test]
fn the_wider_format_as_it_is_written() {
    let text = "source: recorded 2026-11-25T13:40:12 on line bus-1\n\
        driver: acme 1.0.0\n\
        limits: cpu-ticks=20 exchanges=64\n\
        call: check address=a\\u{20}b count=3 now=2026-11-25T13:40:12 nonce=00\n\
        [0.012] drain = 0\n\
        [0.100] > 68 01\n\
        [51.000] < want=12 68 02\n\
        [52.000] log warn the meter \\u{23}1 hums\n\
        [53.000] vault decrypt k@3/2:00 algorithm=4 iv=00 data=01 = masked:1:6e340b9cffb37a98\n\
        [54.000] > 01 (refused 2) line bus-1 is down\n\
        [55.000] < (silence) nothing came within 30 ms\n\
        [56.000] < (cut off)\n\
        unwritten 3\n\
        result: limit wall-ms 30 of 30 ms\n\
        verdict: unknown wall\n";
    let read = Transcript::parse("wide", text).expect("reads");
    assert_eq!(read.to_string(), text);
    assert_eq!(read.request.told().map(|told| told.address.as_str()), Some("a b"));
}

#[test]
fn a_play_ends_where_the_host_cut_it_off() {
    let transcript = parsed("> 01\n< (cut off)");
    let mut player = Player::new(&transcript);
    assert_eq!(player.send(&[1]), Ok(()));
    assert!(!player.is_cut_off() && player.has_sent());
    assert_eq!(player.receive(1), Err(Fault::CutOff));
    assert!(player.is_cut_off());
    assert_eq!(player.finish(&Outcome::Trap("whatever".to_owned())), Ok(()));
}

#[test]
fn a_play_cannot_go_on_where_the_recording_stopped() {
    let transcript = parsed("> 01\nunwritten 5");
    let mut player = Player::new(&transcript);
    assert_eq!(player.send(&[1]), Ok(()));
    assert_eq!(player.send(&[2]), Err(Fault::refused(2)));
    let difference = player.finish(&Outcome::Set(SetOutcome::Confirmed)).expect_err("stopped");
    assert_eq!(difference.to_string(), "small:4: 5 further steps were not written down");
}

#[test]
fn wants_and_drains_are_held_to_where_they_are_written() {
    let done = Outcome::Set(SetOutcome::Confirmed);
    let transcript = parsed("drain = 4\n< want=2 01");
    let mut player = Player::new(&transcript);
    assert_eq!((player.drain(), player.drain()), (Ok(4), Ok(0)));
    assert_eq!(player.receive(2), Ok(vec![1]));
    assert_eq!(player.finish(&done), Ok(()));

    let mut player = Player::new(&transcript);
    assert_eq!(player.receive(2), Err(Fault::refused(2)), "the drain comes first");
    let mut player = Player::new(&transcript);
    assert_eq!((player.drain(), player.receive(3)), (Ok(4), Err(Fault::refused(2))));
    let difference = player.finish(&done).expect_err("another want");
    assert_eq!(difference.to_string(), "small:4: expected\n< want=2 01\nbut got\na receive of 3");
}

#[test]
fn a_hostile_number_of_arguments_is_refused() {
    let arguments: String = (0..5_000).map(|index| format!(" param.p{index}=flag:true")).collect();
    let text = format!("source: x\ncall: read{arguments}\nresult: x");
    let error = Transcript::parse("many", &text).expect_err("too many");
    assert_eq!(error.to_string(), "many:2: more than 2048 arguments");
}

#[test]
fn a_card_is_asked_in_lines_of_its_own() {
    let text = "source: synthetic\n\
        call: card-sell address=07 purpose=1 region=HZ customer=1 count=4 amount=money:500 \
        carry.alarm=number:20 now=2026-01-01T00:00:00 nonce=00\n\
        card inserted = kind=2 atr=3b04 uid=01\n\
        card tries-left code=0 = 3\n\
        card verify code=0 key=psc/1:00 factor=0102 = done\n\
        card verify code=0 published=ffffff = refused 6 a wrong code\n\
        card read offset=32 length=2 = 41 43\n\
        card write offset=32 data=4144 = done\n\
        card erase zone=1 key=ez factor=01 = refused 5\n\
        card set-code code=0 key=psc factor=0102 = cut off\n\
        card transmit 00 A4 00 00 02 3F 00 = 90 00\n\
        result: confirmed count=4\n";
    let read = Transcript::parse("card", text).expect("reads");
    assert_eq!(read.to_string(), text);
    for (line, problem) in [
        ("card inserted", "a card line ends in ` = ` and its answer"),
        ("card inserted = done", "a card is `kind=`, `atr=`, and `uid=` if it has one"),
        ("card write offset=1 data=00 = 00", "`00` is neither `done` nor `refused`"),
        ("card verify code=0 = done", "a code is `key=` and `factor=`, or `published=`"),
        ("card burn = done", "not a card line: inserted, transmit, read, write, erase"),
    ] {
        let text = format!("source: x\ncall: card-identify\n{line}\nresult: none\n");
        let error = Transcript::parse("card", &text).expect_err("no line");
        assert!(error.problem.starts_with(problem), "{error}");
    }
    for (call, problem) in [
        ("card-make", "`purpose=` is missing"),
        ("card-sell count=1", "a purchase has `count=` and `amount=`"),
        ("card-check count=1", "`card-check` takes no `count`"),
    ] {
        let text = format!("source: x\ncall: {call}\nresult: none\n");
        let error = Transcript::parse("card", &text).expect_err("no call");
        assert_eq!(error.problem, problem);
    }
}

/// Whether a card may be another after the steps that were taken.
#[test]
fn a_card_is_changed_by_what_was_begun_and_changes() {
    for (step, changed) in [
        ("card inserted = kind=1 atr=3b", false),
        ("card read offset=0 length=1 = 00", false),
        ("card verify code=0 published=ff = done", false),
        ("card tries-left code=0 = 3", false),
        ("card transmit 00A4040000 = 9000", false),
        ("card transmit 0084000008 = 9000", false),
        ("card transmit 04D6820001FF = 9000", true),
        ("card transmit 84 = 6700", true),
        ("card write offset=0 data=00 = done", true),
        ("card write offset=0 data=00 = refused 1", true),
        ("card write offset=0 data=00 = cut off", true),
        ("card write offset=0 data=00 = refused 3", false),
        ("card set-code code=0 key=k factor=00 = refused 7", false),
        ("card erase zone=1 published=00 = refused 8", false),
    ] {
        let transcript = parsed(step);
        let Some(Step::Slot { act, answer }) = transcript.entries.first().map(|it| &it.step) else {
            panic!("{step}");
        };
        let mut player = Player::new(&transcript);
        assert_eq!(&player.slot(act), answer);
        assert_eq!(player.has_sent(), changed, "{step}");
    }
    let mut player = Player::new(parsed("card inserted = kind=1 atr=3b"));
    let lost = Err(Fault::refused(2));
    assert_eq!(player.slot(&SlotAct::TriesLeft { code: 0 }), lost, "it was not asked for");
    assert_eq!(player.slot(&SlotAct::Inserted), lost, "the reader is gone for good");
}

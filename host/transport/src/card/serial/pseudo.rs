//! The commands that profiles have for contactless cards (PC/SC part 3, 3.2.2.1), cut into what they
//! ask. Readers with a USB plug know them; to this one they are translated.
//!
//! Not here: value operations, which no profile has.

/// What is asked of the reader about its card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    Uid,
    LoadKey {
        place: u8,
        key: [u8; 6],
    },
    /// Proves the key in that place to a block's sector, as key A (60h) or B (61h).
    Open {
        block: u8,
        kind: u8,
        place: u8,
    },
    Read {
        block: u8,
    },
    Write {
        block: u8,
        data: [u8; 16],
    },
    /// Nothing that this reader has.
    Unknown,
}

/// Of a command whose class is FF.
pub(super) fn asked(command: &[u8]) -> Asked {
    match *command {
        [_, 0xCA, 0, 0, 0] => Asked::Uid,
        [_, 0x82, _, place, 6, ref key @ ..] => match key.try_into() {
            Ok(key) => Asked::LoadKey { place, key },
            Err(_) => Asked::Unknown,
        },
        [_, 0x86, 0, 0, 5, 1, 0, block, kind @ (0x60 | 0x61), place] => {
            Asked::Open { block, kind, place }
        }
        [_, 0xB0, 0, block, 16] => Asked::Read { block },
        [_, 0xD6, 0, block, 16, ref data @ ..] => match data.try_into() {
            Ok(data) => Asked::Write { block, data },
            Err(_) => Asked::Unknown,
        },
        _ => Asked::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_of_the_profiles_are_known_and_no_others() {
        let write = [&[0xFF, 0xD6, 0, 5, 16][..], &[7; 16]].concat();
        for (command, want) in [
            (vec![0xFF, 0xCA, 0, 0, 0], Asked::Uid),
            (
                vec![0xFF, 0x82, 0, 1, 6, 1, 2, 3, 4, 5, 6],
                Asked::LoadKey { place: 1, key: [1, 2, 3, 4, 5, 6] },
            ),
            (
                vec![0xFF, 0x86, 0, 0, 5, 1, 0, 9, 0x61, 0],
                Asked::Open { block: 9, kind: 0x61, place: 0 },
            ),
            (vec![0xFF, 0xB0, 0, 4, 16], Asked::Read { block: 4 }),
            (write.clone(), Asked::Write { block: 5, data: [7; 16] }),
            (write[..20].to_vec(), Asked::Unknown),
            (vec![0xFF, 0x82, 0, 0, 6, 1, 2, 3, 4, 5], Asked::Unknown),
            (vec![0xFF, 0x86, 0, 0, 5, 1, 0, 9, 0x62, 0], Asked::Unknown),
            (vec![0xFF, 0xB0, 0, 4, 4], Asked::Unknown),
            // A direct transmit: whoever asks for a card gets the card and not the reader.
            (vec![0xFF, 0, 0, 0, 2, 0xD4, 0x02], Asked::Unknown),
            (vec![0xFF], Asked::Unknown),
        ] {
            assert_eq!(asked(&command), want, "{command:02X?}");
        }
    }
}

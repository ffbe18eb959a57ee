//! Answers that others have published, so that a mistake of ours cannot agree with itself.

use crate::{bytes, ecb, message, named, scope, vault};
use polymeter_vault::{Kind, Refused};

/// Encrypts to exactly `expected` and comes back from it.
fn check_cipher(
    (kind, algorithm, key): (Kind, u16, &str),
    iv: &str,
    associated: &str,
    data: &str,
    expected: &str,
) {
    let vault = vault(kind, key);
    let (iv, associated, data) = (bytes(iv), bytes(associated), bytes(data));
    let encrypted = vault
        .encrypt(&scope(), &named(&[]), algorithm, message(&iv, &associated, &data))
        .expect("encrypted");
    assert_eq!(hex::encode(&encrypted), expected.replace(['\n', ' '], ""), "{kind} {algorithm}");
    let back = vault
        .decrypt(&scope(), &named(&[]), algorithm, message(&iv, &associated, &encrypted))
        .expect("decrypted");
    assert_eq!(back, data, "{kind} {algorithm}");
}

fn check_mac((kind, algorithm, key): (Kind, u16, &str), iv: &str, data: &str, expected: &str) {
    let mac = vault(kind, key).mac(&scope(), &named(&[]), algorithm, &bytes(iv), &bytes(data));
    assert_eq!(hex::encode(mac.expect("a mac")), expected, "{kind} {algorithm}");
}

#[test]
fn triple_des() {
    let ecb = |key| (Kind::TripleDes, 1, key);
    // NIST SP 800-20, table A.1 (variable plaintext, one key three times).
    let zeros = "01010101010101010101010101010101";
    check_cipher(ecb(zeros), "", "", "8000000000000000", "95f8a5e5dd31d900");
    check_cipher(ecb(zeros), "", "", "4000000000000000", "dd7f121ca5015619");
    // ICAO Doc 9303 part 11, appendix D.3: E_IFD and its MAC.
    let e_ifd = "72c29c2371cc9bdb65b779b8e8d37b29ecc154aa56a8799fae2f498f76ed92f2";
    check_cipher(
        (Kind::TripleDes, 8, "ab94fdecf2674fdfb9b391f85d7f76f2"),
        "0000000000000000",
        "",
        "781723860c06c2264608f919887022120b795240cb7049b01c19b33e32804f0b",
        e_ifd,
    );
    let mac = (Kind::TripleDes, 1, "7962d9ece03d1acd4c76089dce131543");
    check_mac(mac, "0000000000000000", e_ifd, "5f1448eea8ad90a7");
    // An initial value is mixed into the first block, so the two can be swapped.
    let swapped = format!("0000000000000000{}", &e_ifd[16..]);
    check_mac(mac, &e_ifd[..16], &swapped, "5f1448eea8ad90a7");
}

#[test]
fn aes() {
    let k128 = "2b7e151628aed2a6abf7158809cf4f3c";
    let k256 = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4";
    let first = "6bc1bee22e409f96e93d7e117393172a";
    let two = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51";
    // NIST SP 800-38A, F.1.1, F.1.5, F.2.1, F.5.1.
    check_cipher((Kind::Aes, 2, k128), "", "", first, "3ad77bb40d7a3660a89ecaf32466ef97");
    check_cipher((Kind::Aes, 2, k256), "", "", first, "f3eed1bdb5d2a03c064b5a7e3db181f8");
    check_cipher(
        (Kind::Aes, 3, k128),
        "000102030405060708090a0b0c0d0e0f",
        "",
        two,
        "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2",
    );
    let ctr = (Kind::Aes, 9, k128);
    let counter = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";
    let stream = "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff";
    check_cipher(ctr, counter, "", two, stream);
    check_cipher(ctr, counter, "", &two[..34], &stream[..34]);
    // NIST SP 800-38B, D.1 and D.3.
    check_mac((Kind::Aes, 3, k128), "", "", "bb1d6929e95937287fa37d129b756746");
    check_mac((Kind::Aes, 3, k128), "", first, "070a16b46b4d4144f79bdd9dd04a287c");
    check_mac((Kind::Aes, 3, k256), "", "", "028962f61b7bf89efc6b551f4667d983");
    check_mac((Kind::Aes, 3, k256), "", first, "28a7023f452e8f82bd4bf28d8c37c35c");
}

/// "The Galois/Counter Mode of Operation (GCM)", McGrew and Viega, test cases 1, 4 and 16.
#[test]
fn gcm() {
    let (iv, associated) = ("cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2");
    let data = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e\
                2449a6b525b16aedf5aa0de657ba637b39";
    let half = "feffe9928665731c6d6a8f9467308308";
    check_cipher(
        (Kind::Aes, 7, half),
        iv,
        associated,
        data,
        "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84\
         aa051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47",
    );
    check_cipher(
        (Kind::Aes, 7, &half.repeat(2)),
        iv,
        associated,
        data,
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b105682\
         8838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b",
    );
    let nothing = (Kind::Aes, 6, "00000000000000000000000000000000");
    check_mac(nothing, "000000000000000000000000", "", "58e2fccefa7e3061367f1d57a4e7455a");
}

/// DLMS UA 1000-2 (Green Book), the example of ciphering a get-request and the one of HLS with GMAC:
/// the authentication key stands in the additional data and nowhere in what a driver sends.
#[test]
fn dlms() {
    let keys = "000102030405060708090a0b0c0d0e0fd0d1d2d3d4d5d6d7d8d9dadbdcdddedf";
    let iv = "4d4d4d0000bc614e01234567";
    let get_request = "c0010000080000010000ff0200";
    check_cipher(
        (Kind::Dlms, 4, keys),
        iv,
        "30",
        get_request,
        "411312ff935a47566827c467bc7d825c3be4a77c3fcc056b6b",
    );
    let mac = (Kind::Dlms, 4, keys);
    check_mac(mac, iv, &format!("10{get_request}"), "06725d910f9221d263877516");
    check_mac(mac, "4d4d4d000000000100000001", "10503677524a323146", "1a52fe7dd3e72748973c1e28");
    check_mac(mac, iv, "104b35366956616759", "fe1466afb3dbcd4f9389e2b7");
}

#[test]
fn hmac() {
    // RFC 4231, test case 1.
    check_mac(
        (Kind::Hmac, 2, &"0b".repeat(20)),
        "",
        &hex::encode("Hi There"),
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    );
}

#[test]
fn sm4() {
    let key = "0123456789abcdeffedcba9876543210";
    // GB/T 32907-2016, appendix A.1.
    check_cipher((Kind::Sm4, 5, key), "", "", key, "681edf34d206965e86b3e94f536e4246");
    // draft-ribose-cfrg-sm4-10, appendix A.2.2.
    let iv = "000102030405060708090a0b0c0d0e0f";
    let clear = "aaaaaaaabbbbbbbbccccccccddddddddeeeeeeeeffffffffaaaaaaaabbbbbbbb";
    let encrypted = "78ebb11cc40b0a48312aaeb2040244cb4cb7016951909226979b0d15dc6a8f6d";
    check_cipher((Kind::Sm4, 6, key), iv, "", clear, encrypted);
    // The MAC is the last block of CBC over what is padded; unpadded, the same blocks are its first.
    let vault = vault(Kind::Sm4, key);
    let padded = bytes(&format!("{clear}80000000000000000000000000000000"));
    let blocks =
        vault.encrypt(&scope(), &named(&[]), 6, message(&bytes(iv), &[], &padded)).expect("blocks");
    let mac = vault.mac(&scope(), &named(&[]), 5, &bytes(iv), &bytes(clear)).expect("a mac");
    assert_eq!(mac, blocks[blocks.len() - 16..]);
}

/// What is derived encrypts as the key does that one makes by hand from the root's own answers.
#[test]
fn derivations() {
    let factor = bytes("0102030405060708");
    let inverted: Vec<u8> = factor.iter().map(|byte| !byte).collect();
    let root = |kind| vault(kind, "00112233445566778899aabbccddeeff");
    let check = |kind, cipher: u16, path: &[(u16, &[u8])], by_hand: Vec<u8>| {
        let expected = ecb(&vault(kind, &hex::encode(by_hand)), &named(&[]), cipher, &[7; 16])
            .expect("blocks");
        let found = ecb(&root(kind), &named(path), cipher, &[7; 16]).expect("blocks");
        assert_eq!(found, expected, "{kind} {path:?}");
    };
    let des = |data: &[u8]| ecb(&root(Kind::TripleDes), &named(&[]), 1, data).expect("a block");
    let left = des(&factor);
    let complement = left.iter().map(|byte| !byte);
    let by_hand = left.iter().copied().chain(complement).collect();
    check(Kind::TripleDes, 1, &[(1, &factor)], by_hand);
    let pboc = [left, des(&inverted)].concat();
    check(Kind::TripleDes, 1, &[(2, &factor)], pboc.clone());

    let both = [factor.clone(), inverted].concat();
    let sm4 = ecb(&root(Kind::Sm4), &named(&[]), 5, &both).expect("a block");
    check(Kind::Sm4, 5, &[(3, &factor)], sm4);
    let aes = ecb(&root(Kind::Aes), &named(&[]), 2, &both).expect("a block");
    check(Kind::Aes, 2, &[(4, &both)], aes);
    let cmac = root(Kind::Aes).mac(&scope(), &named(&[]), 3, &[], &factor).expect("a mac");
    check(Kind::Aes, 2, &[(5, &factor)], cmac);

    // 256 bits: both halves, the second of the inverted factor.
    let k256 = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4";
    let root256 = vault(Kind::Aes, k256);
    let inverted16: Vec<u8> = both.iter().map(|byte| !byte).collect();
    let halves =
        ecb(&root256, &named(&[]), 2, &[both.clone(), inverted16].concat()).expect("blocks");
    let by_hand = ecb(&vault(Kind::Aes, &hex::encode(halves)), &named(&[]), 2, &[7; 16]);
    assert_eq!(ecb(&root256, &named(&[(4, &both)]), 2, &[7; 16]), by_hand);

    // Two steps, in their order.
    let second = vault(Kind::TripleDes, &hex::encode(pboc));
    let expected = ecb(&second, &named(&[(1, &[9; 8])]), 1, &[7; 16]);
    let found = ecb(&root(Kind::TripleDes), &named(&[(2, &factor), (1, &[9; 8])]), 1, &[7; 16]);
    assert_eq!(found, expected);
}

#[test]
fn a_changed_cipher_text_is_not_decrypted() {
    for (kind, algorithm, key) in
        [(Kind::Aes, 7, "11".repeat(16)), (Kind::Dlms, 4, "11".repeat(32))]
    {
        let vault = vault(kind, &key);
        let sealed = vault
            .encrypt(&scope(), &named(&[]), algorithm, message(&[1; 12], &[0x30], b"credit 50"))
            .expect("sealed");
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            let opened = vault.decrypt(
                &scope(),
                &named(&[]),
                algorithm,
                message(&[1; 12], &[0x30], &changed),
            );
            assert_eq!(opened, Err(Refused::WrongTag), "byte {index}");
        }
        for (iv, associated) in [([2; 12], [0x30]), ([1; 12], [0x10])] {
            let opened =
                vault.decrypt(&scope(), &named(&[]), algorithm, message(&iv, &associated, &sealed));
            assert_eq!(opened, Err(Refused::WrongTag));
        }
        let short = message(&[1; 12], &[0x30], &sealed[..5]);
        let opened = vault.decrypt(&scope(), &named(&[]), algorithm, short);
        assert_eq!(opened, Err(Refused::WrongTag), "shorter than a tag");
    }
}

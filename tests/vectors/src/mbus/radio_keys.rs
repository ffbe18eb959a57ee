//! What the vault does in the product, done here with published keys: AES-128 in counter mode and in
//! chains of blocks, and AES-CMAC.

use aes::Aes128;
use aes_gcm::aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use cmac::{Cmac, Mac};

type Block = [u8; 16];

/// `None`: no key of AES-128.
pub fn key(bytes: &[u8]) -> Option<Block> {
    bytes.try_into().ok()
}

pub fn code(key: &Block, data: &[u8]) -> Block {
    let mut mac = <Cmac<Aes128> as KeyInit>::new(&Array::from(*key));
    mac.update(data);
    mac.finalize().into_bytes().into()
}

pub fn chained(key: &Block, iv: &Block, cipher: &[u8]) -> Vec<u8> {
    let aes = Aes128::new(&Array::from(*key));
    let mut last = *iv;
    let mut plain = Vec::with_capacity(cipher.len());
    for block in cipher.chunks_exact(16) {
        let mut turned = Array::try_from(block).expect("16 bytes");
        aes.decrypt_block(&mut turned);
        plain.extend(turned.iter().zip(last).map(|(byte, last)| byte ^ last));
        last.copy_from_slice(block);
    }
    plain
}

pub fn counted(key: &Block, first: &Block, cipher: &[u8]) -> Vec<u8> {
    let aes = Aes128::new(&Array::from(*key));
    let mut counter = u128::from_be_bytes(*first);
    let mut plain = Vec::with_capacity(cipher.len());
    for part in cipher.chunks(16) {
        let mut stream = Array::from(counter.to_be_bytes());
        aes.encrypt_block(&mut stream);
        plain.extend(part.iter().zip(stream).map(|(byte, stream)| byte ^ stream));
        counter = counter.wrapping_add(1);
    }
    plain
}

/** PITABLE of RFC 2268 section 2. */
const table = Buffer.from(
  [
    'd978f9c419ddb5ed28e9fd794aa0d89dc67e37832b76538e624c6488448bfba2179a59f587b34f1361456d8d09817d32bd8f40eb86b77b0bf0',
    '9521225c6b4e8254d66593ce60b21c7356c014a78cf1dc1275ca1f3bbee4d1423dd430a33cb6266fbf0eda4669075727f21d9bbc944303f811',
    'c7f690ef3ee706c3d52fc8661ed708e8eade8052eef784aa72ac354d6a2a961ad2715a1549744b9fd05e0418a4ecc2e0416e0f51cbcc2491af',
    '50a1f47039997c3a8523b8b47afc02365b255597312d5dfa98e38a92ae05df2910676cbac9d300e6cfe19ea82c6316013f58e289a90d38341b',
    'ab33ffb0bb480c5fb9b1cd2ec5f3db47e5a59c770aa62068fe7fc1ad',
  ].join(''),
  'hex',
);

const at = (bytes: Uint8Array | Uint16Array, index: number): number => bytes[index] ?? 0;

/** RFC 2268 section 2; all bits of the key count. */
function expandKey(key: Buffer): Uint16Array {
  const bytes = new Uint8Array(128);
  bytes.set(key);
  for (let index = key.length; index < 128; index++) {
    bytes[index] = at(table, (at(bytes, index - 1) + at(bytes, index - key.length)) & 0xff);
  }
  bytes[128 - key.length] = at(table, at(bytes, 128 - key.length));
  for (let index = 127 - key.length; index >= 0; index--) {
    bytes[index] = at(table, at(bytes, index + 1) ^ at(bytes, index + key.length));
  }
  return Uint16Array.from({ length: 64 }, (_, index) => at(bytes, 2 * index) | (at(bytes, 2 * index + 1) << 8));
}

const shifts = [1, 2, 3, 5];

/** RFC 2268 section 4. */
function decryptBlock(words: Uint16Array, key: Uint16Array): void {
  let next = 63;
  const rotate = (value: number, by: number) => ((value >>> by) | (value << (16 - by))) & 0xffff;
  const mix = () => {
    for (let index = 3; index >= 0; index--, next--) {
      const [r1, r2, r3] = [at(words, (index + 3) % 4), at(words, (index + 2) % 4), at(words, (index + 1) % 4)];
      words[index] = rotate(at(words, index), shifts[index] ?? 0) - at(key, next) - (r1 & r2) - (~r1 & r3);
    }
  };
  const mash = () => {
    for (let index = 3; index >= 0; index--) {
      words[index] = at(words, index) - at(key, at(words, (index + 3) % 4) & 63);
    }
  };
  for (let round = 0; round < 16; round++) {
    mix();
    if (round === 4 || round === 10) mash();
  }
}

/**
 * Undoes RC2 in CBC mode with PKCS #7 padding (RFC 2268). Windows and Key Vault protect the certificates of a PFX file
 * with it, and OpenSSL 3 no longer knows it; with the empty password of such files it protects nothing anyway.
 */
export function decryptRc2Cbc(key: Buffer, iv: Buffer, data: Buffer): Buffer {
  if (data.length === 0 || data.length % 8 !== 0) throw new Error('RC2 blocks that end early');
  const expanded = expandKey(key);
  const out = Buffer.alloc(data.length);
  let previous = iv;
  for (let from = 0; from < data.length; from += 8) {
    const block = data.subarray(from, from + 8);
    const words = Uint16Array.from({ length: 4 }, (_, index) => block.readUInt16LE(2 * index));
    decryptBlock(words, expanded);
    for (let index = 0; index < 8; index++) {
      const plain = (at(words, index >> 1) >> (8 * (index & 1))) & 0xff;
      out[from + index] = plain ^ at(previous, index);
    }
    previous = block;
  }
  const padding = at(out, out.length - 1);
  if (padding < 1 || padding > 8) throw new Error('RC2 padding that makes no sense');
  return out.subarray(0, out.length - padding);
}

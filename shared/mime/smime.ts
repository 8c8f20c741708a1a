import type { PartHeader } from './part-header.ts';

/** Bytes at the front of a content, in which the object identifier of its type stands. */
export const SMIME_PEEK = 128;

/** What opaque S/MIME is. `other` hides nothing: certificates alone, or compressed data. */
export type SmimeKind = 'signed' | 'encrypted' | 'other';

/** Whether a part is opaque S/MIME (RFC 8551 section 3.2), also where only its file name shows it (section 3.10). */
export function isSmime(header: PartHeader): boolean {
  if (/^application\/(?:x-)?pkcs7-mime$/.test(header.contentType)) return true;
  return header.contentType === 'application/octet-stream' && /\.p7[mc]$/i.test(header.filename ?? '');
}

/** 1.2.840.113549.1: RSADSI's PKCS; what follows is the content type (RFC 5652, 5083, 3274). */
const pkcs = Buffer.from('2a864886f70d01', 'hex');
const contents: readonly (readonly [hex: string, kind: SmimeKind])[] = [
  ['0702', 'signed'],
  ['0703', 'encrypted'],
  ['0704', 'encrypted'],
  ['0706', 'encrypted'],
  ['09100117', 'encrypted'],
  ['09100109', 'other'],
];

/** What a part of opaque S/MIME is: by its `smime-type`, else by the content itself, else by its name. */
export function smimeKind(header: PartHeader, beginning: Buffer): SmimeKind {
  switch (header.smimeType) {
    case 'signed-data':
    case 'signed-receipt':
      return 'signed';
    case 'enveloped-data':
    case 'authenveloped-data':
      return 'encrypted';
    case 'certs-only':
    case 'compressed-data':
      return 'other';
  }
  const found = kindOfContent(beginning) ?? kindOfContent(withoutArmor(beginning));
  if (found !== undefined) return found;
  return /\.p7[cz]$/i.test(header.filename ?? '') ? 'other' : 'encrypted';
}

function kindOfContent(bytes: Buffer): SmimeKind | undefined {
  const at = bytes.indexOf(pkcs);
  if (at < 0) return undefined;
  const rest = bytes.toString('hex', at + pkcs.length, at + pkcs.length + 4);
  return contents.find(([hex]) => rest.startsWith(hex))?.[1];
}

/** Base64 that was not declared, with or without the lines of PEM. */
function withoutArmor(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString('latin1').replace(/-----[A-Z0-9 ]{1,40}-----/g, ''), 'base64');
}

import { Readable } from 'node:stream';
import { type SevenBitProblem, sevenBitForm } from '../../mime/seven-bit.ts';
import { TextUnusable } from '../mail-text.ts';
import { receiptForAll, textTroubles } from '../receipts.ts';
import type { FrozenMail, Receipt } from '../transport.ts';
import { cutTrouble } from '../trouble.ts';
import type { Capabilities } from './capabilities.ts';
import { receiptOf, refusedWhole } from './receipt.ts';
import { isAscii, smtpEnvelope, type Unsendable } from './smtp-envelope.ts';
import { type TextKind, textKind } from './text-kind.ts';
import type { ReadyMail } from './transactions.ts';

const utf8Headers: Unsendable = {
  code: 'SMTPUTF8',
  reason: 'the server does not offer SMTPUTF8, which the headers of this mail need',
};
const eightBitText = 'the server does not offer 8BITMIME, which the text of this mail needs';
const eightBitHints: Readonly<Record<SevenBitProblem, string>> = {
  signed:
    'The server takes no 8-bit text, and this mail is signed: encoding it would break the signature. Encode its parts before signing.',
  headers: 'The server takes no 8-bit text, and a header of this mail holds some. Encode it (RFC 2047).',
  structure:
    'The server takes no 8-bit text, and a part of this mail cannot be encoded. Send it as quoted-printable or base64.',
};

const tooLarge = (size: number, limit: number): Unsendable => ({
  code: 'SIZE',
  reason: `SIZE ${limit}`,
  hint: `The mail has ${size} bytes and the server takes at most ${limit}. Send less, or by a link.`,
});

/**
 * A mail as this server can take it: its addresses as SMTP carries them, its text in seven bits where the server
 * takes no others. Or the receipt of a mail that the server cannot take, which is not offered then. Never rejects.
 */
export async function readyFor(
  mail: FrozenMail,
  capabilities: Capabilities,
  signal: AbortSignal,
): Promise<ReadyMail | { readonly receipt: Receipt }> {
  const { smtpUtf8, eightBitMime, maxSize } = capabilities;
  const envelope = smtpEnvelope(mail.envelope, { utf8Offered: smtpUtf8 });
  if (envelope.to.length === 0) return { receipt: receiptOf(mail, envelope, new Map(), undefined) };
  if (maxSize !== undefined && mail.size > maxSize)
    return { receipt: refusedWhole(mail, tooLarge(mail.size, maxSize)) };
  const needsUtf8 = mail.smtpUtf8 === true || ![envelope.from, ...envelope.to].every(isAscii);
  if (eightBitMime && (smtpUtf8 || !needsUtf8)) return { mail, envelope, smtpUtf8: needsUtf8 };
  let text: TextKind;
  try {
    text = await textKind(mail, signal);
  } catch (error) {
    if (signal.aborted) return { receipt: receiptForAll(mail, 'deferred', cutTrouble(signal)) };
    const failure = error instanceof TextUnusable ? error.failure : 'unreadable';
    return { receipt: receiptForAll(mail, 'deferred', textTroubles[failure]) };
  }
  if (text.headers && !smtpUtf8) return { receipt: refusedWhole(mail, utf8Headers) };
  const ready = { mail, envelope, smtpUtf8: needsUtf8 };
  return text.body && !eightBitMime ? await inSevenBits(ready, maxSize, signal) : ready;
}

/** Re-encoded for a server without 8BITMIME (RFC 6152 section 3), where nothing is lost by it. */
async function inSevenBits(
  ready: ReadyMail,
  maxSize: number | undefined,
  signal: AbortSignal,
): Promise<ReadyMail | { readonly receipt: Receipt }> {
  const { mail } = ready;
  let form: Awaited<ReturnType<typeof sevenBitForm>>;
  try {
    form = await sevenBitForm(() => mail.open(signal));
  } catch {
    return { receipt: receiptForAll(mail, 'deferred', signal.aborted ? cutTrouble(signal) : textTroubles.unreadable) };
  }
  if ('problem' in form) {
    const why: Unsendable = { code: '8BITMIME', reason: eightBitText, hint: eightBitHints[form.problem] };
    return { receipt: refusedWhole(mail, why) };
  }
  const { size, text } = form;
  if (maxSize !== undefined && size > maxSize) return { receipt: refusedWhole(mail, tooLarge(size, maxSize)) };
  const open = async (later: AbortSignal) => Readable.from(text(await mail.open(later)), { objectMode: false });
  return { ...ready, mail: { ...mail, size, open } };
}

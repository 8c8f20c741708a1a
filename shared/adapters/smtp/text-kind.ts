import { isAscii } from 'node:buffer';
import { mailText } from '../mail-text.ts';
import type { FrozenMail } from '../transport.ts';

/** Where the text of a mail has octets outside ASCII. */
export interface TextKind {
  readonly headers: boolean;
  readonly body: boolean;
}

const cr = 0x0d;
const lf = 0x0a;

/** Reads the text once, in pieces, up to the first such octet of the body. Throws TextUnusable. */
export async function textKind(mail: FrozenMail, signal: AbortSignal): Promise<TextKind> {
  let headers = false;
  let inBody = false;
  let lineLength = 0;
  for await (const chunk of mailText(mail, signal)) {
    let at = 0;
    for (; at < chunk.length && !inBody; at += 1) {
      const octet = chunk[at] ?? 0;
      if (octet > 127) headers = true;
      if (octet === lf) {
        if (lineLength === 0) inBody = true;
        lineLength = 0;
      } else if (octet !== cr) lineLength += 1;
    }
    if (!isAscii(chunk.subarray(at))) return { headers, body: true };
  }
  return { headers, body: false };
}

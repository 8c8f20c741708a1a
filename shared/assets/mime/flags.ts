import type { HeaderBlock } from './header-block.ts';
import type { MailFlags } from './mail.ts';
import type { PartHeader } from './part-header.ts';

type Flag = keyof MailFlags;

/** Gathers what the header and the parts of a mail tell about its kind. */
export class FlagCollector {
  readonly #flags = new Set<Flag>();
  #dispositionReport = false;

  /** A multipart, or a part that is none. Parts of attached messages do not count: they are not looked into. */
  part(header: PartHeader): void {
    const { contentType, reportType } = header;
    if (contentType === 'multipart/signed') this.#flags.add('signed');
    if (contentType === 'multipart/encrypted') this.#flags.add('encrypted');
    if (contentType === 'multipart/report' && reportType === 'delivery-status') this.#flags.add('bounce');
    if (contentType === 'multipart/report' && reportType === 'disposition-notification') this.#dispositionReport = true;
    if (/^message\/(?:global-)?delivery-status$/.test(contentType)) this.#flags.add('bounce');
    if (/^message\/(?:global-)?disposition-notification$/.test(contentType)) this.#dispositionReport = true;
    if (/^(?:text\/(?:x-v)?calendar|application\/ics)$/.test(contentType)) this.#flags.add('calendar');
    this.#smime(header);
  }

  /** Opaque S/MIME (RFC 8551 section 3.2), also where only the file name shows it (section 3.10). */
  #smime(header: PartHeader): void {
    const typed = /^application\/(?:x-)?pkcs7-mime$/.test(header.contentType);
    const named = header.contentType === 'application/octet-stream' && /\.p7m$/i.test(header.filename ?? '');
    if (!typed && !named) return;
    const type = header.smimeType ?? 'enveloped-data';
    if (type === 'signed-data') this.#flags.add('signed');
    // Certificates alone and compressed data hide nothing.
    else if (type !== 'certs-only' && type !== 'compressed-data') this.#flags.add('encrypted');
  }

  /** Text of a body, for PGP without MIME (RFC 9580 section 6.2). */
  text(text: string): void {
    if (/^-----BEGIN PGP MESSAGE-----\s*$/m.test(text)) this.#flags.add('encrypted');
    if (/^-----BEGIN PGP SIGNED MESSAGE-----\s*$/m.test(text)) this.#flags.add('signed');
  }

  /**
   * The header of the mail. `Precedence: bulk` is not enough for `autoSubmitted`: mailing lists carry what people write.
   * Neither is `X-Auto-Response-Suppress`, which Exchange puts on mail of people too.
   */
  header(block: HeaderBlock): void {
    const autoSubmitted = keyword(block.first('auto-submitted'));
    const autoReply =
      truthy(block.first('x-autoreply')) ||
      truthy(block.first('x-autorespond')) ||
      /^auto_?reply$/.test(keyword(block.first('precedence')));
    // RFC 3834 section 5; a read receipt (RFC 8098) is written by a machine as well.
    if ((autoSubmitted !== '' && autoSubmitted !== 'no') || autoReply || this.#dispositionReport) {
      this.#flags.add('autoSubmitted');
    }
    if (block.first('x-failed-recipients') !== undefined) this.#flags.add('bounce');
    // Bounces have a null path (RFC 5321 section 4.5.5), but so have replies of machines and read receipts.
    const nullPath = /^<\s*>/.test(block.first('return-path') ?? '');
    if (nullPath && !autoSubmitted.startsWith('auto-replied') && !autoReply && !this.#dispositionReport) {
      this.#flags.add('bounce');
    }
  }

  get flags(): MailFlags {
    return {
      autoSubmitted: this.#flags.has('autoSubmitted'),
      bounce: this.#flags.has('bounce'),
      calendar: this.#flags.has('calendar'),
      encrypted: this.#flags.has('encrypted'),
      signed: this.#flags.has('signed'),
    };
  }
}

/** The value without parameters and comments, in lower case. */
function keyword(text: string | undefined): string {
  return (text ?? '')
    .replace(/[;(].*$/s, '')
    .trim()
    .toLowerCase();
}

function truthy(text: string | undefined): boolean {
  return text !== undefined && !/^(?:no|false|0)?$/.test(keyword(text));
}

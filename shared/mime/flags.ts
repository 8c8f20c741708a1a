import type { HeaderBlock } from './header-block.ts';
import type { MailFlags } from './mail.ts';
import type { PartHeader } from './part-header.ts';
import type { SmimeKind } from './smime.ts';

/** Flags that follow from single parts and header fields. */
type Flag = Exclude<keyof MailFlags, 'autoSubmitted' | 'bounce'>;

/** Collects the flags of a mail from its header and its parts. */
export class FlagCollector {
  readonly #flags = new Set<Flag>();

  /** A multipart, or any other part. Parts of attached messages do not count: they are not looked into. */
  part(header: PartHeader): void {
    const { contentType } = header;
    if (contentType === 'multipart/signed') this.#flags.add('signed');
    if (contentType === 'multipart/encrypted') this.#flags.add('encrypted');
    if (/^(?:text\/(?:x-v)?calendar|application\/ics)$/.test(contentType)) this.#flags.add('calendar');
  }

  /** Opaque S/MIME. */
  smime(kind: SmimeKind): void {
    if (kind !== 'other') this.#flags.add(kind);
  }

  /** Text of a body, for PGP without MIME (RFC 9580 section 6.2). */
  text(text: string): void {
    if (/^-----BEGIN PGP MESSAGE-----[ \t\r]*$/m.test(text)) this.#flags.add('encrypted');
    if (/^-----BEGIN PGP SIGNED MESSAGE-----[ \t\r]*$/m.test(text)) this.#flags.add('signed');
  }

  /** The header of the mail. `List-Unsubscribe` alone is no list: newsletters have it too. */
  header(block: HeaderBlock): void {
    const precedence = (block.first('precedence') ?? '').trim().toLowerCase();
    const fields = ['list-id', 'list-post', 'mailing-list'].some((name) => block.first(name) !== undefined);
    if (fields || precedence === 'list') this.#flags.add('list');
  }

  get flags(): Pick<MailFlags, Flag> {
    const has = (flag: Flag) => this.#flags.has(flag);
    return {
      list: has('list'),
      calendar: has('calendar'),
      encrypted: has('encrypted'),
      signed: has('signed'),
    };
  }
}

import type { ListedMail } from '../../adapters/store.ts';
import type { ImportContext } from '../session/import-context.ts';

/** Other mails that are asked for at most before the server is held to give none. */
const maxProbes = 3;

/** How long an answer says something of the server, in ms. */
const goodForMs = 5_000;

/**
 * Whether the server gives mail now. A refusal is a mail's own trouble only where the server gives another mail at the same
 * time; where it refuses all that it is asked for, it is the account's.
 */
export class ServerEvidence {
  readonly #context: ImportContext;
  readonly #gaveAt = new Map<string, number>();

  constructor(context: ImportContext) {
    this.#context = context;
  }

  /** Asks for another mail of the folder; where it has only the refused one, for the header of that. Throws StoreError. */
  async givesOthers(refused: readonly ListedMail[]): Promise<boolean> {
    const [first] = refused;
    if (!first) {
      return true;
    }
    if (performance.now() - (this.#gaveAt.get(first.folder) ?? Number.NEGATIVE_INFINITY) < goodForMs) {
      return true;
    }
    const others = await this.#others(first.folder, refused);
    let given = false;
    for (const other of others) {
      given ||= await this.#gives(other, false);
    }
    if (others.length === 0 && refused.length === 1) {
      given = await this.#gives(first, true);
    }
    if (given) {
      this.#gaveAt.set(first.folder, performance.now());
    }
    return given;
  }

  async #others(folder: string, refused: readonly ListedMail[]): Promise<readonly ListedMail[]> {
    const { session, signal } = this.#context;
    const items = new Set(refused.map(({ source }) => source.item));
    const pageSize = refused.length + maxProbes;
    for await (const page of session.list(folder, { signal, pageSize })) {
      const others = page.filter(({ source }) => !items.has(source.item));
      if (others.length > 0) {
        return others.sort((a, b) => (a.size ?? 0) - (b.size ?? 0)).slice(0, maxProbes);
      }
    }
    return [];
  }

  async #gives(mail: ListedMail, headersOnly: boolean): Promise<boolean> {
    const { session, signal } = this.#context;
    for await (const { content } of session.fetch([mail], { signal, headersOnly })) {
      if (content.kind === 'stream') {
        content.stream.destroy();
      }
      return content.kind === 'bytes' || content.kind === 'stream';
    }
    return false;
  }
}

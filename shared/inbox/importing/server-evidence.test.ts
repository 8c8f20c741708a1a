import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { MailContent } from '../../adapters/mail-content.ts';
import type { FetchOptions, ListedMail } from '../../adapters/store.ts';
import type { ImportContext } from '../session/import-context.ts';
import { ServerEvidence } from './server-evidence.ts';

const { signal } = new AbortController();
let now = 0;

beforeEach(() => {
  now = 1_000;
  vi.spyOn(performance, 'now').mockImplementation(() => now);
});
afterEach(() => {
  vi.restoreAllMocks();
});

const mail = (item: string, size?: number, folder = 'INBOX'): ListedMail => ({
  source: { store: 'imap:fake', scope: '', item },
  folder,
  ...(size === undefined ? {} : { size }),
});

const refusal: MailContent = { kind: 'broken', reason: 'refused', refusal: 'unclear' };

/** A server that lists these pages, and gives what `give` says. */
function site(pages: readonly (readonly ListedMail[])[], give: (item: string) => MailContent | undefined) {
  const asked: string[] = [];
  const sizes: number[] = [];
  const session = {
    list: async function* (_: string, { pageSize }: { readonly pageSize: number }) {
      sizes.push(pageSize);
      yield* pages;
    },
    fetch: async function* ([one]: readonly ListedMail[], { headersOnly }: FetchOptions) {
      const item = one?.source.item ?? '';
      asked.push(headersOnly ? `header of ${item}` : item);
      const content = give(item);
      if (content) yield { mail: one, content };
    },
  };
  return { evidence: new ServerEvidence({ session, signal } as unknown as ImportContext), asked, sizes };
}

const bytes: MailContent = { kind: 'bytes', bytes: Buffer.from('x') };

describe('whether a server that refuses a mail gives others', () => {
  it('is not asked where none was refused', async () => {
    const { evidence, asked } = site([], () => bytes);
    expect([await evidence.givesOthers([]), asked]).toEqual([true, []]);
  });

  it('is asked of the smallest others, until one is given', async () => {
    const list = [mail('refused'), mail('large', 900), mail('small', 5), mail('middle', 50), mail('largest', 1_000)];
    const { evidence, asked, sizes } = site([list], (item) => (item === 'middle' ? bytes : refusal));
    expect(await evidence.givesOthers([mail('refused')])).toBe(true);
    expect([asked, sizes]).toEqual([['small', 'middle'], [4]]);
  });

  it('is no where three others are refused too', async () => {
    const list = ['a', 'b', 'c', 'd'].map((item) => mail(item));
    const { evidence, asked } = site([list], () => refusal);
    expect(await evidence.givesOthers([mail('refused')])).toBe(false);
    expect(asked).toEqual(['a', 'b', 'c']);
  });

  it('looks on where a page has none but those that were refused', async () => {
    const { evidence, asked } = site([[mail('refused')], [mail('other')]], () => bytes);
    expect([await evidence.givesOthers([mail('refused')]), asked]).toEqual([true, ['other']]);
  });

  it.each([
    ['gives its header', bytes, true],
    ['does not', refusal, false],
    ['says nothing', undefined, false],
  ])('by a mail that is alone in its folder: it %s', async (_, content, gives) => {
    const { evidence, asked } = site([[mail('refused')]], () => content);
    expect([await evidence.givesOthers([mail('refused')]), asked]).toEqual([gives, ['header of refused']]);
  });

  it('is no where several were refused and there are no others', async () => {
    const { evidence, asked } = site([[mail('a'), mail('b')]], () => bytes);
    expect([await evidence.givesOthers([mail('a'), mail('b')]), asked]).toEqual([false, []]);
  });

  it('takes a stream for given, and reads none of it', async () => {
    const stream = Readable.from(['x']);
    const { evidence } = site([[mail('other')]], () => ({ kind: 'stream', stream }));
    expect([await evidence.givesOthers([mail('refused')]), stream.destroyed]).toEqual([true, true]);
  });
});

describe('what a server has shown', () => {
  it('is believed for five seconds, of that folder', async () => {
    const { evidence, asked } = site([[mail('other')]], () => bytes);
    await evidence.givesOthers([mail('refused')]);
    now += 4_999;
    expect(await evidence.givesOthers([mail('refused')])).toBe(true);
    expect(asked).toHaveLength(1);
    await evidence.givesOthers([mail('refused', 1, 'Another')]);
    expect(asked).toHaveLength(2);
    now += 1;
    await evidence.givesOthers([mail('refused')]);
    expect(asked).toHaveLength(3);
  });

  it('is not believed where it gave none', async () => {
    const { evidence, asked } = site([[mail('other')]], () => refusal);
    await evidence.givesOthers([mail('refused')]);
    await evidence.givesOthers([mail('refused')]);
    expect(asked).toHaveLength(2);
  });
});

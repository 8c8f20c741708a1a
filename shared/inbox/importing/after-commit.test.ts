import { beforeEach, describe, expect, it } from 'vitest';
import { turns } from '../../../test/support/turns.ts';
import { type Item, pageItem } from '../originals/items.ts';
import { type AfterCommit, Pipeline } from './after-commit.ts';

/** A step of the pipeline that was begun, and waits for the test. */
interface Step {
  readonly what: string;
  end(): void;
  fail(error: Error): void;
}

let steps: Step[];
let pipeline: Pipeline;

const name = ({ holder }: Item) => holder;
const pageOf = (holder: string, other: Partial<AfterCommit> = {}): AfterCommit => ({
  items: [pageItem(holder, 'etag', [])],
  verify: false,
  ...other,
});

/** Items whose events are for later. */
let later: ReadonlySet<string>;

beforeEach(() => {
  steps = [];
  later = new Set();
  const step = (what: string) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    steps.push({ what, end: resolve, fail: reject });
    return promise;
  };
  pipeline = new Pipeline({
    publish: async (items) => {
      await step(`events ${items.map(name)}`);
      return items.filter((item) => !later.has(name(item)));
    },
    dispose: async (items, { verify }) => await step(`disposal ${items.map(name)}${verify ? ', verified' : ''}`),
  });
});

const begun = () => steps.map(({ what }) => what);
/** Ends the last step with that name. */
async function end(what: string): Promise<void> {
  const found = steps.findLast((step) => step.what === what);
  if (!found) throw new Error(`not begun: ${what}; but ${begun().join('; ')}`);
  found.end();
  await turns();
}

/** One whose originals are disposed of, and as many as may wait. */
const nine = [...'abcdefghi'];

describe('what comes after commits', () => {
  it('publishes the events of a page while originals of one before are disposed of', async () => {
    await pipeline.next(pageOf('a'));
    await end('events a');
    await pipeline.next(pageOf('b'));
    await turns();
    expect(begun()).toEqual(['events a', 'disposal a', 'events b']);
  });

  it('publishes the events of one page at a time', async () => {
    await pipeline.next(pageOf('a'));
    await pipeline.next(pageOf('b'));
    await turns();
    expect(begun()).toEqual(['events a']);
    await end('events a');
    expect(begun()).toContain('events b');
  });

  it('never disposes of originals before the events of their page', async () => {
    await pipeline.next(pageOf('a'));
    await end('events a');
    await pipeline.next(pageOf('b'));
    await end('disposal a');
    expect(begun()).toEqual(['events a', 'disposal a', 'events b']);
    await end('events b');
    expect(begun().at(-1)).toBe('disposal b');
  });

  it('leaves the originals of a page alone whose events are for later', async () => {
    later = new Set(['b']);
    for (const holder of ['a', 'b', 'c']) await pipeline.next(pageOf(holder));
    for (const holder of ['a', 'b', 'c']) await end(`events ${holder}`);
    await end('disposal a');
    expect(begun().at(-1)).toBe('disposal c');
  });

  it('disposes of what has come meanwhile together, of as many pages as may wait', async () => {
    for (const holder of ['a', 'b', 'c', 'd', 'e']) await pipeline.next(pageOf(holder));
    for (const holder of ['a', 'b', 'c', 'd', 'e']) await end(`events ${holder}`);
    await end('disposal a');
    expect(begun().at(-1)).toBe('disposal b,c,d,e');
  });

  it('keeps apart what has to be verified and what has not', async () => {
    await pipeline.next(pageOf('a'));
    await pipeline.next(pageOf('b'));
    await pipeline.next(pageOf('c', { verify: true }));
    for (const holder of ['a', 'b', 'c']) await end(`events ${holder}`);
    await end('disposal a');
    await end('disposal b');
    expect(begun().at(-1)).toBe('disposal c, verified');
  });

  it('does what is last of a page behind its originals, and goes on behind that', async () => {
    const done: string[] = [];
    await pipeline.next(pageOf('a'));
    await pipeline.next(pageOf('b', { last: async () => void done.push('last of b') }));
    await pipeline.next(pageOf('c'));
    for (const holder of ['a', 'b', 'c']) await end(`events ${holder}`);
    await end('disposal a');
    expect(done).toEqual([]);
    await end('disposal b');
    expect(done).toEqual(['last of b']);
    expect(begun().at(-1)).toBe('disposal c');
  });

  it('has nothing to do for a page without mails, unless something is last', async () => {
    const done: string[] = [];
    await pipeline.next({ items: [], verify: false });
    await pipeline.next({ items: [], verify: false, last: async () => void done.push('last') });
    await pipeline.idle();
    expect(begun()).toEqual([]);
    expect(done).toEqual(['last']);
  });

  it('lets pages wait once eight of them do', async () => {
    for (const holder of nine) await pipeline.next(pageOf(holder));
    let placed = false;
    const tenth = pipeline.next(pageOf('j')).then(() => {
      placed = true;
    });
    for (const holder of nine) await end(`events ${holder}`);
    expect(placed).toBe(false);
    await end('disposal a');
    await tenth;
    expect(begun()).toContain('events j');
  });

  it('is idle when all of it has ended', async () => {
    await pipeline.next(pageOf('a'));
    let idle = false;
    const waiting = pipeline.idle().then(() => {
      idle = true;
    });
    await end('events a');
    expect(idle).toBe(false);
    await end('disposal a');
    await waiting;
  });

  describe('after a failure', () => {
    const failure = new Error('storage is away');
    const fail = async (what: string) => {
      steps.find((step) => step.what === what)?.fail(failure);
      await turns();
    };

    it('of events begins nothing more, and says it to the next page', async () => {
      await pipeline.next(pageOf('a'));
      await pipeline.next(pageOf('b'));
      await turns();
      await fail('events a');
      expect(begun()).toEqual(['events a']);
      await expect(pipeline.next(pageOf('c'))).rejects.toBe(failure);
      await expect(pipeline.idle()).rejects.toBe(failure);
    });

    it('of a disposal begins no events of another page', async () => {
      await pipeline.next(pageOf('a'));
      await end('events a');
      await pipeline.next(pageOf('b'));
      await pipeline.next(pageOf('c'));
      await turns();
      await fail('disposal a');
      await end('events b');
      expect(begun()).toEqual(['events a', 'disposal a', 'events b']);
      await expect(pipeline.idle()).rejects.toBe(failure);
    });

    it.each([
      { fails: 'disposal a', other: 'events b' },
      { fails: 'events b', other: 'disposal a' },
    ])('of $fails is idle only when $other, which was under way, has ended', async ({ fails, other }) => {
      await pipeline.next(pageOf('a'));
      await end('events a');
      await pipeline.next(pageOf('b'));
      await turns();
      let ended = false;
      const idle = pipeline.idle().catch(() => {
        ended = true;
      });
      await fail(fails);
      expect(ended).toBe(false);
      await end(other);
      await idle;
      expect(ended).toBe(true);
      expect(begun()).toEqual(['events a', 'disposal a', 'events b']);
    });

    it('frees pages that wait for their place', async () => {
      for (const holder of nine) await pipeline.next(pageOf(holder));
      await end('events a');
      const tenth = pipeline.next(pageOf('j')).catch((error: unknown) => error);
      await fail('disposal a');
      await end('events b');
      expect(await tenth).toBe(failure);
    });
  });
});

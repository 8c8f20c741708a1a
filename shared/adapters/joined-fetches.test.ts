import { describe, expect, it } from 'vitest';
import { turns } from '../../test/support/turns.ts';
import { type JoinedFetch, JoinedFetches } from './joined-fetches.ts';
import type { FetchOptions } from './store.ts';

interface Mail {
  readonly name: string;
  readonly folder: string;
  readonly octets: number;
}

const mail = (name: string, { folder = 'INBOX', octets = 1_000 } = {}): Mail => ({ name, folder, octets });
const two = (name: string, options?: { folder?: string; octets?: number }) => [
  mail(`${name}1`, options),
  mail(`${name}2`, options),
];
const options: FetchOptions = { signal: new AbortController().signal };
const named = (fetches: readonly JoinedFetch<Mail, string>[]) =>
  fetches.map(({ mails }) => mails.map(({ name }) => name).join('+')).join(' ');

/** A line that is held until `free` is called, and what it was asked for, a text a command. */
function heldLine() {
  const commands: string[] = [];
  const asked: AbortSignal[] = [];
  const first = Promise.withResolvers<void>();
  let queue = first.promise;
  let act = async (fetches: readonly JoinedFetch<Mail, string>[]) => {
    for (const one of fetches) one.answer(named([one]));
  };
  const joined = new JoinedFetches<string, Mail, string>({
    nothing: 'nothing',
    exclusive: (signal, work) => {
      asked.push(signal);
      const aborted = new Promise<never>((_, reject) => {
        const abort = () => reject(signal.reason);
        if (signal.aborted) abort();
        else signal.addEventListener('abort', abort);
      });
      const turn = Promise.race([queue, aborted]).then(() => work('the line'));
      queue = Promise.all([queue, turn.catch(() => undefined)]).then(() => undefined);
      return turn;
    },
    run: async (line, fetches) => {
      expect(line).toBe('the line');
      commands.push(named(fetches));
      await act(fetches);
    },
    sizeOf: ({ octets }) => octets,
    together: (one, other) => one.folder === other.folder,
  });
  return {
    joined,
    commands,
    asked,
    free: () => first.resolve(),
    onRun: (run: typeof act) => {
      act = run;
    },
  };
}

describe('fetches on one line', () => {
  it('go one by one where each finds the line free', async () => {
    const { joined, commands, free } = heldLine();
    free();
    expect(await joined.fetch(two('a'), options)).toBe('a1+a2');
    expect(await joined.fetch(two('b'), options)).toBe('b1+b2');
    expect(commands).toEqual(['a1+a2', 'b1+b2']);
  });

  it('that wait go by one command, in their order, and each has its own answer', async () => {
    const { joined, commands, free } = heldLine();
    const answers = ['a', 'b', 'c'].map((name) => joined.fetch(two(name), options));
    free();
    expect(await Promise.all(answers)).toEqual(['a1+a2', 'b1+b2', 'c1+c2']);
    expect(commands).toEqual(['a1+a2 b1+b2 c1+c2']);
  });

  it.each([
    ['4 MiB', ['a', 'b', 'c'].map((name) => two(name, { octets: 1024 * 1024 })), ['a1+a2 b1+b2', 'c1+c2']],
    ['256 mails', ['a', 'b', 'c'].map((name) => Array.from({ length: 100 }, (_, n) => mail(`${name}${n}`))), [2, 1]],
    ['one folder', [two('a'), two('b', { folder: 'Sent' }), two('c')], ['a1+a2', 'b1+b2', 'c1+c2']],
  ])('are at most %s in one command', async (_, batches, expected) => {
    const { joined, commands, free } = heldLine();
    const answers = batches.map((batch) => joined.fetch(batch, options));
    free();
    expect(await Promise.all(answers)).toHaveLength(3);
    expect(typeof expected[0] === 'number' ? commands.map((each) => each.split(' ').length) : commands).toEqual(
      expected,
    );
  });

  it.each([
    ['of one mail', [mail('b')], options],
    ['of headers', two('b'), { ...options, headersOnly: true }],
  ])('are not joined by one %s', async (_, mails, how) => {
    const { joined, commands, free } = heldLine();
    const answers = [joined.fetch(two('a'), options), joined.fetch(mails, how), joined.fetch(two('c'), options)];
    free();
    await Promise.all(answers);
    expect(commands).toHaveLength(3);
  });

  it.each([
    ['before it is asked for', () => AbortSignal.abort()],
    [
      'while it waits for the line',
      () => {
        const limit = new AbortController();
        queueMicrotask(() => limit.abort());
        return limit.signal;
      },
    ],
  ])('are not asked for where nobody waits for one any more, %s, nor is the line', async (_, limitOf) => {
    const { joined, commands, free, asked } = heldLine();
    const dropped = joined.fetch(two('b'), { ...options, limit: limitOf() });
    // The line is not free yet: nobody is to wait for it.
    expect(await dropped).toBe('nothing');
    await turns();
    expect(asked.every(({ aborted }) => aborted)).toBe(true);
    const answers = [joined.fetch(two('a'), options), joined.fetch(two('c'), options)];
    free();
    await Promise.all(answers);
    expect(commands).toEqual(['a1+a2 c1+c2']);
  });

  it('are not left by a command that asks for them already', async () => {
    const { joined, commands, free, onRun } = heldLine();
    const limit = new AbortController();
    onRun(async (fetches) => {
      limit.abort();
      await turns();
      for (const one of fetches) one.answer(named([one]));
    });
    const answers = [joined.fetch(two('a'), options), joined.fetch(two('b'), { ...options, limit: limit.signal })];
    free();
    expect(await Promise.all(answers)).toEqual(['a1+a2', 'b1+b2']);
    expect(commands).toEqual(['a1+a2 b1+b2']);
  });

  it('are asked for again where a command ended at one behind them', async () => {
    const { joined, commands, free, onRun } = heldLine();
    let failed = false;
    onRun(async (fetches) => {
      const third = fetches.find((one) => named([one]).startsWith('c'));
      if (third && !failed) {
        failed = true;
        third.fail(new Error('it cannot be found'));
        return;
      }
      for (const one of fetches) one.answer(named([one]));
    });
    const answers = ['a', 'b', 'c', 'd'].map((name) => joined.fetch(two(name), options));
    free();
    const settled = await Promise.allSettled(answers);
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
    expect(settled[2]).toMatchObject({ reason: new Error('it cannot be found') });
    expect(commands.slice(0, 2)).toEqual(['a1+a2 b1+b2 c1+c2 d1+d2', 'b1+b2 a1+a2 d1+d2']);
  });

  it('have their answers as they come, and one that failed leaves the others to their own turn', async () => {
    const { joined, commands, free, onRun } = heldLine();
    let failed = false;
    onRun(async (fetches) => {
      for (const one of fetches) {
        if (!failed && named([one]).startsWith('b')) {
          failed = true;
          throw new Error('the line broke');
        }
        one.answer(named([one]));
      }
    });
    const answers = ['a', 'b', 'c', 'd'].map((name) => joined.fetch(two(name), options));
    free();
    const settled = await Promise.allSettled(answers);
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
    expect(settled[1]).toMatchObject({ reason: new Error('the line broke') });
    expect(commands).toEqual(['a1+a2 b1+b2 c1+c2 d1+d2', 'c1+c2 d1+d2']);
  });

  it('fail one by one where the line is gone', async () => {
    const { joined, free, onRun } = heldLine();
    onRun(async () => {
      throw new Error('gone');
    });
    const answers = ['a', 'b'].map((name) => joined.fetch(two(name), options));
    free();
    for (const { status } of await Promise.allSettled(answers)) expect(status).toBe('rejected');
  });

  it('have the answer of the command that took them along, though the line is gone for them by then', async () => {
    const { joined, free, onRun } = heldLine();
    const gone = new AbortController();
    onRun(async (fetches) => {
      gone.abort(new Error('gone'));
      await turns();
      for (const one of fetches) one.answer(named([one]));
    });
    const first = joined.fetch(two('a'), options);
    const second = joined.fetch(two('b'), { signal: gone.signal });
    free();
    expect(await Promise.all([first, second])).toEqual(['a1+a2', 'b1+b2']);
  });

  it('fail where the line is not to be had, and are forgotten', async () => {
    const { joined, commands, free } = heldLine();
    const signal = AbortSignal.abort(new Error('the run ended'));
    const aborted = joined.fetch(two('a'), { signal });
    free();
    await expect(aborted).rejects.toThrow('the run ended');
    await turns();
    expect(await joined.fetch(two('b'), options)).toBe('b1+b2');
    expect(commands).toEqual(['b1+b2']);
  });

  it('that a command forgets fail, and do not wait for ever', async () => {
    const { joined, free, onRun } = heldLine();
    onRun(async () => undefined);
    const forgotten = joined.fetch(two('a'), options);
    free();
    await expect(forgotten).rejects.toThrow('not answered');
  });
});

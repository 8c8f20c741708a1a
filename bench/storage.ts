import { type Azurite, startAzurite } from '../local/azurite.ts';
import { Mailroom, type MailroomOptions } from '../test/support/mailroom.ts';

/** Azurite as it comes, or without two costs that grow with what it holds (see azurite-tuned.ts). */
export type Storage = 'shipped' | 'tuned';

const tuning = new URL('azurite-tuned.ts', import.meta.url).href;

/** Azurite inherits this process's environment; the functions process gets one of its own and is not touched. */
async function withStorage<T>(storage: Storage, start: () => Promise<T>): Promise<T> {
  const before = process.env.NODE_OPTIONS;
  if (storage === 'tuned') process.env.NODE_OPTIONS = [before, `--import ${tuning}`].filter(Boolean).join(' ');
  try {
    return await start();
  } finally {
    if (before === undefined) delete process.env.NODE_OPTIONS;
    else process.env.NODE_OPTIONS = before;
  }
}

export function startStorage(storage: Storage): Promise<Azurite> {
  return withStorage(storage, () => startAzurite());
}

export function startMailroom(storage: Storage, options: MailroomOptions = {}): Promise<Mailroom> {
  return withStorage(storage, () => Mailroom.start(options));
}

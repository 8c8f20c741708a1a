import { fileURLToPath } from 'node:url';
import { type Azurite, startAzurite } from '../local/azurite.ts';
import { Mailroom, type MailroomOptions } from '../test/support/mailroom.ts';

/** Azurite as it comes, or without two costs that grow with what it holds (see azurite-tuned.ts). */
export type Storage = 'shipped' | 'tuned';

const tuned = fileURLToPath(new URL('azurite-tuned.ts', import.meta.url));

export function startStorage(storage: Storage): Promise<Azurite> {
  return startAzurite(storage === 'tuned' ? { program: tuned } : {});
}

export function startMailroom(storage: Storage, options: MailroomOptions = {}): Promise<Mailroom> {
  return Mailroom.start(storage === 'tuned' ? { ...options, azuriteProgram: tuned } : options);
}

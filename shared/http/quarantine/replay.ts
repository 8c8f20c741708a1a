import { replay } from '../../inbox/quarantine/replay.ts';
import { Refusal } from '../../platform/refusal.ts';
import type { Answer, Call } from '../call.ts';

/** `POST /quarantine/{id}/replay`: checks it in again; 200 with the asset, also where that was done before. */
export async function handle({ param, services, signal }: Call): Promise<Answer> {
  const id = param('id');
  const { inbox, quarantine, assets } = services;
  try {
    await replay(inbox, quarantine, id, { signal });
  } catch (error) {
    if (!(error instanceof Refusal) || error.reason !== 'notFound') throw error;
    // An answer that was lost, and the caller asks again.
    const asset = await assets.get(id, { signal }).catch(() => undefined);
    if (asset) return { jsonBody: asset };
    throw error;
  }
  return { jsonBody: await assets.get(id, { signal }) };
}

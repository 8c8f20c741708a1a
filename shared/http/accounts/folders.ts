import { type FolderList, listFolders } from '../../inbox/folders.ts';
import type { Answer, Call } from '../call.ts';

/** `GET /accounts/{account}/folders`: what the mailbox holds, and which of it is imported. */
export async function handle({ param, services, signal }: Call): Promise<Answer> {
  const stored = await services.accounts.get(param('account'), { signal });
  const folders: FolderList = { items: await listFolders(services.inbox, stored, { signal }) };
  return { jsonBody: folders };
}

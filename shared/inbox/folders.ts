import { z } from 'zod';
import type { StoredAccount } from '../accounts/account-store.ts';
import { type StoreFolder, storeFolderSchema } from '../adapters/store-folder.ts';
import { Refusal } from '../platform/refusal.ts';
import type { View } from '../platform/view.ts';
import type { InboxContext } from './context.ts';
import { storeRefusal } from './session/asked-now.ts';

/** What `GET /accounts/{account}/folders` answers. */
export const folderListSchema = z.object({ items: z.array(storeFolderSchema) });
export type FolderList = View<typeof folderListSchema>;

/** Time for the mail server, in ms; the platform ends the request at 230 s. */
const budgetMs = 60_000;

/**
 * The folders of an account's mailbox, asked for now; an import under way goes on beside it. Of a disabled account, too:
 * people look before they enable it. Throws Refusal `conflict` where it has no store, `unavailable` where the server cannot
 * be asked, with what can be done about it.
 */
export async function listFolders(
  inbox: InboxContext,
  { account }: StoredAccount,
  options: { readonly signal: AbortSignal },
): Promise<readonly StoreFolder[]> {
  const store = await inbox.store(account);
  if (!store || !account.store) {
    throw new Refusal('conflict', 'The account has no store.');
  }
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(budgetMs)]);
  try {
    const session = await store.open({ signal });
    try {
      return await session.folders(account.store.folders, signal);
    } finally {
      await session.close();
    }
  } catch (error) {
    throw storeRefusal(error);
  }
}

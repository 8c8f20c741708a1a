import { z } from 'zod';
import type { View } from '../platform/view.ts';

/** What a folder is for (RFC 6154, and the inbox). */
const folderUses = ['inbox', 'sent', 'drafts', 'trash', 'junk', 'archive', 'all', 'flagged'] as const;
export type FolderUse = (typeof folderUses)[number];

/** A folder that mail can be imported from. */
export const storeFolderSchema = z.object({
  name: z.string().meta({ description: "As the account's `folders` takes it." }),
  total: z.int().optional().meta({ description: 'Mails in it; absent where the server does not say.' }),
  unread: z.int().optional().meta({ description: 'Those of them not read; absent where the server does not say.' }),
  use: z.enum(folderUses).optional(),
  selected: z.boolean().meta({ description: 'It is one of those that are imported.' }),
});
export type StoreFolder = View<typeof storeFolderSchema>;

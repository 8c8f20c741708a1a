import { z } from 'zod';
import { type Asset, assetSchema } from './asset.ts';
import { inTodaysForm } from './earlier-form.ts';

/** What a listing shows of an asset: all but its bodies, each field within bounds. */
export const assetSummarySchema = z
  .object({
    ...assetSchema.omit({ text: true, html: true }).shape,
    attachmentCount: z.int().meta({ description: 'How many there are; `attachments` may name fewer.' }),
    shortened: z
      .array(z.string())
      .optional()
      .meta({ description: 'Fields that were shortened: the whole is in the asset.' }),
  })
  .meta({ id: 'AssetSummary', description: 'An asset without its bodies, each field within bounds.' });
export type AssetSummary = z.output<typeof assetSummarySchema>;

/** A summary is at the front of `asset.json` and takes at most as many bytes, the name before it included. */
export const maxSummaryBytes = 32 * 1024;

const begin = '{"summary":';
/** White space to JSON; no JSON.stringify of ours writes it anywhere else. */
const end = '\n';

const maxText = 500;
const maxEntries = 20;

/** `asset.json`: the description as one JSON object, with the summary as its first member, on a line of its own. */
export function descriptionOf(asset: Asset): Buffer {
  return Buffer.from(`${begin}${JSON.stringify(summaryOf(asset))}${end},${JSON.stringify(asset).slice(1)}`);
}

/** What an `asset.json` describes, of whatever version. Throws where it is none. */
export function readDescription(bytes: Buffer): Asset {
  return assetSchema.parse(inTodaysForm(JSON.parse(bytes.toString('utf8'))));
}

/** The summary at the front of a description; undefined where it was written by a version that wrote none. */
export function readSummary(front: Buffer): AssetSummary | undefined {
  const to = front.indexOf(end);
  if (to < 0 || front.toString('latin1', 0, begin.length) !== begin) return undefined;
  return inTodaysForm<AssetSummary>(JSON.parse(front.toString('utf8', begin.length, to)));
}

/** A summary of at most `maxSummaryBytes`, whatever the mail holds. */
export function summaryOf(asset: Asset): AssetSummary {
  for (let entries = maxEntries; ; entries = Math.floor(entries / 2)) {
    const summary = shortened(asset, entries);
    const bytes = Buffer.byteLength(JSON.stringify(summary));
    if (entries === 0 || bytes + begin.length + end.length <= maxSummaryBytes) return summary;
  }
}

function shortened({ text: _, html: __, ...asset }: Asset, entries: number): AssetSummary {
  const cut = new Set<string>();
  const summary: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(asset)) {
    // The asset's own id and paths are ours and short; without them nothing could be asked for.
    summary[field] = bounded(value, entries, () => cut.add(field));
  }
  return {
    ...(summary as Omit<Asset, 'text' | 'html'>),
    attachmentCount: asset.attachments.length,
    ...(cut.size > 0 ? { shortened: [...cut] } : {}),
  };
}

/** A value of the same form: lists of at most so many entries, texts of at most 500 characters. */
function bounded(value: unknown, entries: number, cut: () => void): unknown {
  if (typeof value === 'string') {
    if (value.length <= maxText) return value;
    cut();
    // Never half of a surrogate pair.
    return value.slice(0, maxText).replace(/[\ud800-\udbff]$/, '');
  }
  if (Array.isArray(value)) {
    if (value.length > entries) cut();
    return value.slice(0, entries).map((each) => bounded(each, entries, cut));
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, bounded(each, entries, cut)]));
}

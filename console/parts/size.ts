const units = ['KiB', 'MiB', 'GiB'] as const;

/** Bytes for people, in the units of the service's limits: `512 B`, `1.5 MiB`. */
export function sizeText(bytes: number): string {
  const power = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), units.length);
  if (power === 0) return `${bytes} B`;
  const value = bytes / 1024 ** power;
  return `${value.toLocaleString(undefined, { maximumFractionDigits: value < 10 ? 1 : 0 })} ${units[power - 1]}`;
}

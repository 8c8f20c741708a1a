const isRow = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const field = (value: unknown, name: string): unknown => (isRow(value) ? value[name] : undefined);

/**
 * As much of JMESPath (jmespath.org) as the scripts ask `az` for: `a.b`, `length(@)`, `[0].a`, and
 * `list[?a=='x' && b=='y'].c | [0]`. Throws for anything else.
 */
export function jmesPath(from: unknown, query: string): unknown {
  if (query === 'length(@)') return Array.isArray(from) ? from.length : undefined;
  const filtered = /^(\w*)\[\?(.+)\]\.(\w+) \| \[0\]$/.exec(query);
  if (filtered) {
    const [, list = '', tests = '', name = ''] = filtered;
    const rows = list === '' ? from : field(from, list);
    const wanted = tests.split(' && ').map((test) => {
      const [, key, value] = /^(\w+)=='([^']*)'$/.exec(test) ?? [];
      if (key === undefined || value === undefined) throw new Error(`not understood: ${test}`);
      return [key, value] as const;
    });
    const row = Array.isArray(rows)
      ? rows.find((each) => wanted.every(([key, value]) => field(each, key) === value))
      : undefined;
    return field(row, name);
  }
  const [, index, path] = /^(?:\[(\d)\]\.)?(\w+(?:\.\w+)*)$/.exec(query) ?? [];
  if (path === undefined) throw new Error(`not understood: ${query}`);
  const start: unknown = index === undefined ? from : Array.isArray(from) ? from[Number(index)] : undefined;
  return path.split('.').reduce(field, start);
}

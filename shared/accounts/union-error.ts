/** A union by `field` whose unknown member is named in the answer, so that a typing mistake shows itself. */
export const unionError = (field: string) => (issue: { readonly code?: string; readonly input?: unknown }) => {
  const { input } = issue;
  if (issue.code !== 'invalid_union' || typeof input !== 'object' || input === null) return undefined;
  const name: unknown = Object.entries(input).find(([key]) => key === field)?.[1];
  return typeof name === 'string' && /^[A-Za-z0-9_-]{1,32}$/.test(name)
    ? `${field} ${name} is not supported`
    : `this ${field} is not supported`;
};

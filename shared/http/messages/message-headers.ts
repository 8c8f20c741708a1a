/** Where a message that was taken over can be followed. */
export function messageHeaders(id: string): Readonly<Record<string, string>> {
  const location = `/api/messages/${id}`;
  return { Location: location, 'Operation-Location': location };
}

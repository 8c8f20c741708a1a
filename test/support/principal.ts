/** The header by which the platform says who signed in, with these app roles. */
export function principal(...roles: string[]): Readonly<Record<string, string>> {
  const claims = roles.map((val) => ({ typ: 'roles', val }));
  return { 'x-ms-client-principal': Buffer.from(JSON.stringify({ auth_typ: 'aad', claims })).toString('base64') };
}

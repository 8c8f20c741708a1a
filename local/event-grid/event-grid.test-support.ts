import { request } from 'node:https';

/** Posts over https, trusting this authority alone, and answers the status. */
export async function postOver(
  ca: string,
  url: string,
  headers: Readonly<Record<string, string>>,
  body: string,
): Promise<number> {
  return await new Promise<number>((resolve, reject) => {
    const length = { 'content-length': String(Buffer.byteLength(body)) };
    const outgoing = request(url, { method: 'POST', ca, headers: { ...headers, ...length } }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode ?? 0));
    });
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}

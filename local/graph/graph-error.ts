import { randomUUID } from 'node:crypto';

/** A refusal in the shape of Microsoft Graph: `{ error: { code, message, innerError } }`. */
export class GraphRefusal extends Error {
  override readonly name = 'GraphRefusal';
  readonly status: number;
  readonly code: string;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: string, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

/** The body of an error answer. Both ids are those of its headers. */
export function errorBody(
  { code, message }: { readonly code: string; readonly message: string },
  { requestId, clientRequestId }: { readonly requestId: string; readonly clientRequestId: string },
  now: number,
) {
  const date = new Date(now).toISOString().slice(0, 19);
  return {
    error: { code, message, innerError: { date, 'request-id': requestId, 'client-request-id': clientRequestId } },
  };
}

export const newRequestId = randomUUID;

export const badRequest = (message: string) => new GraphRefusal(400, 'BadRequest', message);
/** A part of the OData query that cannot be read. */
export const badQuery = (message: string) => new GraphRefusal(400, 'RequestBroker--ParseUri', message);
export const itemNotFound = () =>
  new GraphRefusal(404, 'ErrorItemNotFound', 'The specified object was not found in the store.');
export const malformedId = () => new GraphRefusal(400, 'ErrorInvalidIdMalformed', 'Id is malformed.');
export const accessDenied = () =>
  new GraphRefusal(403, 'ErrorAccessDenied', 'Access is denied. Check credentials and try again.');
export const invalidProperty = (name: string) =>
  new GraphRefusal(400, 'ErrorInvalidPropertySet', `The property '${name}' cannot be set on this item.`);
export const tooLarge = () =>
  new GraphRefusal(413, 'RequestEntityTooLarge', 'The request is larger than the server accepts.');

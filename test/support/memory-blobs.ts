import { Readable } from 'node:stream';
import {
  type BlobRequestConditions,
  type BlockBlobCommitBlockListOptions,
  type BlockBlobUploadOptions,
  type ContainerClient,
  RestError,
} from '@azure/storage-blob';

interface Stored {
  readonly bytes: Buffer;
  readonly etag: string;
  readonly contentType: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;
}

interface Options {
  readonly abortSignal?: { readonly aborted: boolean };
  readonly conditions?: BlobRequestConditions;
}

type Method = 'upload' | 'commitBlockList' | 'delete' | 'download';

/**
 * A container in memory, for unit tests: blobs are written and read on the conditions that storage would look at. What
 * storage does beyond that (limits, copies, repetitions) is tested with Azurite; `blobsContract` runs on both.
 */
export class MemoryBlobs {
  readonly #blobs = new Map<string, Stored>();
  readonly #staged = new Map<string, Map<string, Buffer>>();
  #writes = 0;
  /** Asked before each request for a blob: a test may let time pass in it, or throw. */
  onRequest: (method: Method, path: string) => void | Promise<void> = () => undefined;

  /** As the SDK gives it. */
  get client(): ContainerClient {
    const container = {
      getBlobClient: (path: string) => this.#blobClient(path),
      getBlockBlobClient: (path: string) => this.#blobClient(path),
      deleteBlob: (path: string, options?: Options) => this.#delete(path, options),
      listBlobsFlat: (options: Options & { readonly prefix?: string }) => this.#list(options),
      listBlobsByHierarchy: (delimiter: string, options: Options & { readonly prefix?: string }) =>
        this.#hierarchy(delimiter, options),
    };
    // All that the service asks of a container.
    return container as unknown as ContainerClient;
  }

  /** Names of the blobs, in order. */
  names(prefix = ''): readonly string[] {
    return [...this.#blobs.keys()].filter((name) => name.startsWith(prefix)).sort();
  }

  /** What a blob holds; undefined where there is none. */
  text(path: string): string | undefined {
    return this.#blobs.get(path)?.bytes.toString();
  }

  /** Takes a blob away, as somebody else would. */
  remove(path: string): void {
    this.#blobs.delete(path);
  }

  /** Puts a blob there, whatever is there. */
  put(path: string, content: string | Buffer, metadata: Readonly<Record<string, string>> = {}): void {
    this.#write(path, Buffer.from(content), { metadata: { ...metadata } });
  }

  #blobClient(path: string) {
    return {
      upload: async (body: Buffer | string, _length: number, options: BlockBlobUploadOptions = {}) => {
        await this.#begin('upload', path, options as Options);
        return this.#write(path, Buffer.from(body), options);
      },
      stageBlock: async (id: string, body: Buffer, _length: number, options: Options = {}) => {
        throwIfAborted(options);
        const blocks = this.#staged.get(path) ?? new Map<string, Buffer>();
        this.#staged.set(path, blocks.set(id, Buffer.from(body)));
      },
      commitBlockList: async (ids: readonly string[], options: BlockBlobCommitBlockListOptions = {}) => {
        await this.#begin('commitBlockList', path, options as Options);
        const blocks = ids.map((id) => this.#staged.get(path)?.get(id) ?? refused(400, 'InvalidBlockList'));
        return this.#write(path, Buffer.concat(blocks), options);
      },
      getProperties: async (options: Options = {}) => {
        throwIfAborted(options);
        const { bytes, etag, contentType, metadata } = this.#found(path);
        return { etag, contentLength: bytes.length, contentType, metadata };
      },
      download: async (offset = 0, count?: number, options: Options = {}) => {
        await this.#begin('download', path, options);
        const { metadata } = this.#found(path);
        return { metadata, readableStreamBody: Readable.from([this.#read(path, offset, count, options)]) };
      },
      downloadToBuffer: async (offset = 0, count?: number, options: Options = {}) => {
        await this.#begin('download', path, options);
        const bytes = this.#read(path, offset, count, options);
        // The SDK does not answer less than it was asked for.
        if (count !== undefined && bytes.length < count) throw new Error('Stream drains before getting enough data');
        return bytes;
      },
      exists: async () => this.#blobs.has(path),
      delete: (options?: Options) => this.#delete(path, options),
      deleteIfExists: async (options?: Options) => {
        try {
          await this.#delete(path, options);
          return { succeeded: true };
        } catch (error) {
          // The SDK tells other refusals, a condition that did not hold among them.
          if (error instanceof RestError && error.statusCode === 404) return { succeeded: false };
          throw error;
        }
      },
    };
  }

  async #begin(method: Method, path: string, options: Options): Promise<void> {
    await this.onRequest(method, path);
    throwIfAborted(options);
  }

  #found(path: string): Stored {
    return this.#blobs.get(path) ?? refused(404, 'BlobNotFound');
  }

  #check(path: string, { ifMatch, ifNoneMatch }: BlobRequestConditions = {}): void {
    const stored = this.#blobs.get(path);
    if (ifNoneMatch === '*' && stored) refused(409, 'BlobAlreadyExists');
    if (ifMatch !== undefined && ifMatch !== stored?.etag) refused(412, 'ConditionNotMet');
  }

  #write(path: string, bytes: Buffer, options: BlockBlobUploadOptions): { readonly etag: string } {
    this.#check(path, options.conditions);
    this.#writes += 1;
    const etag = `"blob ${this.#writes}"`;
    const contentType = options.blobHTTPHeaders?.blobContentType;
    this.#blobs.set(path, { bytes, etag, contentType, metadata: { ...options.metadata } });
    this.#staged.delete(path);
    return { etag };
  }

  #read(path: string, offset: number, count: number | undefined, { conditions }: Options): Buffer {
    const { bytes } = this.#found(path);
    this.#check(path, conditions);
    return bytes.subarray(offset, count === undefined ? undefined : offset + count);
  }

  async #delete(path: string, options: Options = {}): Promise<void> {
    await this.#begin('delete', path, options);
    this.#found(path);
    this.#check(path, options.conditions);
    this.#blobs.delete(path);
  }

  async *#list(options: Options & { readonly prefix?: string } = {}) {
    throwIfAborted(options);
    for (const name of this.names(options.prefix)) {
      const stored = this.#blobs.get(name);
      if (!stored) continue;
      const { bytes, etag, contentType, metadata } = stored;
      yield { name, metadata, properties: { etag, contentLength: bytes.length, contentType } };
    }
  }

  async *#hierarchy(delimiter: string, options: Options & { readonly prefix?: string } = {}) {
    throwIfAborted(options);
    const { prefix = '' } = options;
    const told = new Set<string>();
    for (const name of this.names(prefix)) {
      const end = name.indexOf(delimiter, prefix.length);
      const item = end < 0 ? name : name.slice(0, end + delimiter.length);
      if (told.has(item)) continue;
      told.add(item);
      yield { kind: end < 0 ? 'blob' : 'prefix', name: item };
    }
  }
}

function throwIfAborted({ abortSignal }: Options): void {
  if (!abortSignal?.aborted) return;
  const error = new Error('The operation was aborted.');
  error.name = 'AbortError';
  throw error;
}

function refused(statusCode: number, code: string): never {
  throw new RestError(code, { statusCode, code });
}

/**
 * Types whose content can run, or be shown as a document with the rights of its origin, if a browser or a proxy in
 * between opens it in spite of everything: they are downloaded as bytes. What the sender called it is in the asset.
 */
const passive =
  /^(?:image\/(?:png|gif|jpeg|pjpeg|webp|bmp|tiff|heic|heif|avif|x-icon|vnd\.microsoft\.icon)|(?:audio|video)\/[a-z0-9.+-]{1,80}|text\/(?:plain|csv|calendar|vcard|x-vcard)|message\/(?:rfc822|delivery-status|disposition-notification)|application\/(?:pdf|zip|gzip|x-gzip|x-7z-compressed|json|msword|rtf|ms-tnef|vnd\.ms-tnef|vnd\.ms-(?:excel|powerpoint|outlook)|vnd\.openxmlformats-officedocument\.[a-z.]{1,60}|vnd\.oasis\.opendocument\.[a-z]{1,20}|(?:x-)?pkcs7-(?:mime|signature)|pgp-(?:signature|encrypted)))$/;

/** The type that an attachment is served with. */
export function safeType(contentType: string): string {
  return passive.test(contentType) ? contentType : 'application/octet-stream';
}

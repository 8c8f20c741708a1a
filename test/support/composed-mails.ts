import { domainToASCII } from 'node:url';
import { noise, random } from './mails.ts';

/** What is written in one script: a name, a subject, a paragraph, a file name, and a label for a domain. */
interface Sample {
  readonly script: string;
  readonly name: string;
  readonly subject: string;
  readonly text: string;
  readonly file: string;
  /** Registries that allow it write the script in domains; absent: this one stands in none here. */
  readonly label?: string;
}

const samples: readonly Sample[] = [
  {
    script: 'Latin',
    name: 'Jürgen Größe',
    subject: 'Prüfung: Größe & Grüße',
    text: 'Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.',
    file: 'Übersicht März',
    label: 'bücher',
  },
  {
    script: 'Latin',
    name: 'Nguyễn Thị Ánh',
    subject: 'Báo cáo tháng Ba đã sẵn sàng',
    text: 'Chủ tịch ủy ban nhân dân thành phố gửi lời chào đến quý vị.',
    file: 'Bản đồ số',
  },
  {
    script: 'Latin',
    name: 'Łukasz Żółć',
    subject: 'Zażółć gęślą jaźń',
    text: 'Pchnąć w tę łódź jeża lub ośm skrzyń fig.',
    file: 'Źródło żółte',
    label: 'żółw',
  },
  {
    script: 'Greek',
    name: 'Ελένη Παπαδοπούλου',
    subject: 'Ξεσκεπάζω τὴν ψυχοφθόρα βδελυγμία',
    text: 'Γαζέες καὶ μυρτιὲς δὲν θὰ βρῶ πιὰ στὸ χρυσαφὶ ξέφωτο.',
    file: 'Έκθεση Μαΐου',
    label: 'ελλάδα',
  },
  {
    script: 'Cyrillic',
    name: 'Алексей Жуков',
    subject: 'Съешь же ещё этих мягких французских булок',
    text: 'В чащах юга жил бы цитрус? Да, но фальшивый экземпляр!',
    file: 'Отчёт за март',
    label: 'почта',
  },
  {
    script: 'Cyrillic',
    name: 'Їжакевич Ґалаґан',
    subject: 'Чуєш їх, доцю, га? Кумедна ж ти',
    text: 'Щастям б’єш жук їх глицю в фон й ґедзь пріч.',
    file: 'Звіт їжака',
  },
  {
    script: 'Armenian',
    name: 'Արամ Խաչատրյան',
    subject: 'Բարեւ ձեզ, ահա հաշվետվությունը',
    text: 'Կրնամ ապակի ուտել և ինծի անհանգիստ չըներ։',
    file: 'Հաշվետվություն',
    label: 'հայ',
  },
  {
    script: 'Georgian',
    name: 'ნინო ბერიძე',
    subject: 'მინას ვჭამ და არა მტკივა',
    text: 'გთხოვთ ახლავე გაიაროთ რეგისტრაცია საერთაშორისო კონფერენციაზე.',
    file: 'ანგარიში',
    label: 'გე',
  },
  {
    script: 'Hebrew',
    name: 'דוד כהן',
    subject: 'דג סקרן שט בים מאוכזב',
    text: 'אני יכול לאכול זכוכית וזה לא מזיק לי. (סוף)',
    file: 'דוח חודשי',
    label: 'ישראל',
  },
  {
    script: 'Arabic',
    name: 'محمد الأحمد',
    subject: 'نص حكيم له سر قاطع وذو شأن عظيم',
    text: 'أنا قادر على أكل الزجاج و هذا لا يؤلمني؟ نعم، ١٢٣.',
    file: 'تقرير الشهر',
    label: 'موقع',
  },
  {
    script: 'Devanagari',
    name: 'प्रिया शर्मा',
    subject: 'मासिक प्रतिवेदन तैयार है',
    text: 'मैं काँच खा सकता हूँ और मुझे उससे कोई चोट नहीं पहुंचती।',
    file: 'मासिक रिपोर्ट',
    label: 'भारत',
  },
  {
    script: 'Bengali',
    name: 'রবীন্দ্রনাথ ঠাকুর',
    subject: 'মাসিক প্রতিবেদন প্রস্তুত',
    text: 'আমি কাঁচ খেতে পারি, তাতে আমার কোনো ক্ষতি হয় না।',
    file: 'প্রতিবেদন',
    label: 'ভারত',
  },
  {
    script: 'Tamil',
    name: 'குமரன் செல்வம்',
    subject: 'மாத அறிக்கை தயாராக உள்ளது',
    text: 'நான் கண்ணாடி சாப்பிடுவேன், அதனால் எனக்கு ஒரு கேடும் வராது.',
    file: 'அறிக்கை',
    label: 'இந்தியா',
  },
  {
    script: 'Telugu',
    name: 'వేమన రెడ్డి',
    subject: 'నెలవారీ నివేదిక సిద్ధంగా ఉంది',
    text: 'నేను గాజు తినగలను మరియు అలా చేసినా నాకు ఏమి ఇబ్బంది లేదు.',
    file: 'నివేదిక',
  },
  {
    script: 'Sinhala',
    name: 'සුනිල් පෙරේරා',
    subject: 'මාසික වාර්තාව සූදානම්',
    text: 'මට වීදුරු කෑමට හැකියි. එයින් මට කිසි හානියක් සිදු නොවේ.',
    file: 'වාර්තාව',
    label: 'ලංකා',
  },
  {
    script: 'Thai',
    name: 'สมชาย ใจดี',
    subject: 'รายงานประจำเดือนพร้อมแล้ว',
    text: 'เป็นมนุษย์สุดประเสริฐเลิศคุณค่า กว่าบรรดาฝูงสัตว์เดรัจฉาน',
    file: 'รายงาน',
    label: 'ไทย',
  },
  { script: 'Khmer', name: 'សុខ វិបុល', subject: 'របាយការណ៍ប្រចាំខែ', text: 'ខ្ញុំអាចញុំកញ្ចក់បាន ដោយគ្មានបញ្ហារ', file: 'របាយការណ៍' },
  {
    script: 'Myanmar',
    name: 'အောင်ဆန်း',
    subject: 'လစဉ်အစီရင်ခံစာ',
    text: 'ကျွန်တော် မှန်စားနိုင်တယ်။ အဲ့ဒါကြောင့် ထိခိုက်မှုမရှိပါဘူး။',
    file: 'အစီရင်ခံစာ',
  },
  {
    script: 'Ethiopic',
    name: 'አበበ ቢቂላ',
    subject: 'የመጋቢት ወር ዘገባ',
    text: 'ሰማይ አይታረስ ንጉሥ አይከሰስ፤ ብላ ካለኝ እንደአባቴ በቆመጠኝ።',
    file: 'ዘገባ',
  },
  {
    script: 'Han',
    name: '王小明',
    subject: '三月份报告已经准备好了',
    text: '我能吞下玻璃而不伤身体。天地玄黄，宇宙洪荒。',
    file: '三月报告',
    label: '中国',
  },
  {
    script: 'Han',
    name: '陳大文',
    subject: '關於三月份報告的說明',
    text: '我能吞下玻璃而不傷身體。𠜎𠜱𠝹𠱓 是罕用字。',
    file: '報告書',
    label: '台灣',
  },
  {
    script: 'Hiragana',
    name: 'やまだ はなこ',
    subject: 'いろはにほへと ちりぬるを わかよたれそ',
    text: 'わたしはガラスをたべられます。それはわたしをきずつけません。',
    file: 'ほうこくしょ',
    label: 'みんな',
  },
  {
    script: 'Katakana',
    name: 'タナカ タロウ',
    subject: 'イロハニホヘト チリヌルヲ 〜半角ｶﾅも〜',
    text: '株式会社ミドリ御中　お世話になっております。①②③㈱',
    file: '見積書（最終版）',
  },
  {
    script: 'Hangul',
    name: '김철수',
    subject: '키스의 고유조건은 입술끼리 만나야 하고',
    text: '다람쥐 헌 쳇바퀴에 타고파. 나는 유리를 먹을 수 있어요.',
    file: '월간 보고서',
    label: '한국',
  },
  {
    script: 'Mongolian',
    name: 'ᠪᠠᠲᠤ',
    subject: 'ᠰᠠᠷ᠎ᠠ ᠶᠢᠨ ᠮᠡᠳᠡᠭᠡ',
    text: 'ᠪᠢ ᠰᠢᠯᠢ ᠢᠳᠡᠶᠦ ᠴᠢᠳᠠᠨ᠎ᠠ ᠂ ᠨᠠᠳᠤᠷ ᠬᠣᠤᠷᠠᠳᠠᠢ ᠪᠢᠰᠢ',
    file: 'ᠮᠡᠳᠡᠭᠡ',
  },
  { script: 'Tibetan', name: 'བསྟན་འཛིན', subject: 'ཟླ་བའི་སྙན་ཞུ།', text: 'ཤེལ་སྒོ་ཟ་ནས་ང་ན་གི་མ་རེད།', file: 'སྙན་ཞུ' },
  { script: 'Cherokee', name: 'ᏣᎳᎩ', subject: 'ᎣᏏᏲ, ᏙᎯᏧ', text: 'ᏂᎯ ᎠᏴ ᏧᏓᎴᏅᏓ ᎠᏂᏴᏫ ᎤᎾᏕᎿ.', file: 'ᏗᎪᏪᎵ' },
  {
    script: 'Emoji',
    name: '🦊 Fuchs 👩‍👩‍👧‍👦',
    subject: '🎉 Fertig 👍🏽 — 100 % ✅',
    text: 'Flaggen 🇩🇪🇯🇵, Familie 👩‍👩‍👧‍👦, Hände 👋🏿 und 𝔐𝔞𝔱𝔥𝔢 ∑∞≠.',
    file: '🦊 Bericht 📎',
  },
];

/** How many of the mails are written in how many scripts. */
export const scripts: readonly string[] = [...new Set(samples.map(({ script }) => script))].filter(
  (script) => script !== 'Emoji',
);

export interface Mailbox {
  readonly name: string;
  readonly address: string;
}

export interface ComposedAttachment {
  readonly filename: string;
  readonly contentType: string;
  readonly content: Buffer;
  readonly contentId?: string;
}

/** A mail as it is handed in, and as it must come back. */
export interface ComposedMail {
  /** Stands in its header `X-Number`. */
  readonly n: number;
  readonly subject: string;
  readonly from: Mailbox;
  readonly to: readonly Mailbox[];
  readonly cc: readonly Mailbox[];
  readonly bcc: readonly Mailbox[];
  readonly replyTo: readonly Mailbox[];
  readonly text?: string;
  readonly html?: string;
  readonly attachments: readonly ComposedAttachment[];
  readonly calendar?: { readonly method: string; readonly content: string };
  readonly headers: Readonly<Record<string, string>>;
  readonly inReplyTo?: string;
  readonly references?: readonly string[];
  readonly priority?: 'high' | 'low';
}

/** Bodies that have troubled mail software, by the number of the mail. */
const hardTexts: readonly ((text: string) => string)[] = [
  (text) => text,
  (text) => `${text}\n${'abcdefghij'.repeat(400)}\n${text}`,
  (text) => `.\n..\n...\n. ${text}\n.\n\n.`,
  (text) => `${text.repeat(60)}\n.\n${text}`,
  (text) => `${text}   \n\t${text}\t\n \n  zwei Blanks  mittendrin  \n`,
  (text) => `From here on: ${text}\nFrom: x\nTo: y\n\n>From me\n--\n-- \n--=_boundary\nContent-Type: text/html`,
  (text) => `=?utf-8?Q?nicht=20=C3=BC?= =3D =\n=20\n${text}=\n=C3=BC`,
  (text) => `“${text}”\u00a0—\u2028\u200f${text}\u200e\ufeff\u00ad`,
];

const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

/** Every `every`-th mail, beginning with the one with the number `from`. */
const isOne = (n: number, every: number, from: number) => n % every === from;

function attachmentsOf(n: number, { text, file }: Sample): readonly ComposedAttachment[] {
  const bytes = (seed: number, size: number) => noise(size, random(n * 10 + seed));
  const kinds: readonly ComposedAttachment[] = [
    { filename: `${file}.bin`, contentType: 'application/octet-stream', content: bytes(1, 1 + n * 300) },
    { filename: `${file} (Entwurf; "neu", 100 %).pdf`, contentType: 'application/pdf', content: bytes(2, 5_000) },
    // Line ends as Unix writes them, and bytes that are no UTF-8: none of it may change.
    {
      filename: `${file}.txt`,
      contentType: 'text/plain',
      content: Buffer.concat([Buffer.from(`${text}\n.\r\n\n`), bytes(3, 999)]),
    },
    {
      filename: `${file.repeat(12).slice(0, 150).toWellFormed()}.csv`,
      contentType: 'text/csv',
      content: Buffer.from(`\ufeff${text};1\r\n`),
    },
    { filename: `${file}.html`, contentType: 'text/html', content: Buffer.from(`<meta charset=utf-8><p>${text}`) },
    { filename: `${file}.leer`, contentType: 'application/octet-stream', content: Buffer.alloc(0) },
    {
      filename: `${file}.eml`,
      contentType: 'message/rfc822',
      content: Buffer.from(`Subject: inner\r\n\r\n${text}\r\n`),
    },
  ];
  return Array.from({ length: n % 4 }, (_, at) => kinds[(n + at * 3) % kinds.length] ?? kinds[0]).filter(
    (attachment) => attachment !== undefined,
  );
}

function calendarOf(n: number, { subject, name }: Sample): string {
  return [
    'BEGIN:VCALENDAR',
    'VERSION:2.0',
    'PRODID:-//Example//Mail//EN',
    'METHOD:REQUEST',
    'BEGIN:VEVENT',
    `UID:${n}@example.com`,
    'DTSTAMP:20260301T080000Z',
    'DTSTART:20260302T080000Z',
    `SUMMARY:${subject}`,
    `ATTENDEE;CN="${name}":mailto:corpus@example.com`,
    'END:VEVENT',
    'END:VCALENDAR',
    '',
  ].join('\r\n');
}

/** The domain of a script, in the form in which it travels. */
const domainOf = (label: string) => domainToASCII(`${label}.example`);

export const reader: Mailbox = { name: 'Haus Körber', address: 'corpus@example.com' };

/** Addresses at internationalised domains that some of the mails are for. */
export const readers: readonly string[] = samples.flatMap(({ label }) =>
  label === undefined ? [] : [`leser@${domainOf(label)}`],
);

function composed(n: number): ComposedMail {
  const sample = samples[n % samples.length];
  const other = samples[(n * 5 + 2) % samples.length];
  if (!sample || !other) throw new Error('there are samples');
  const { name, label } = sample;
  const body = (hardTexts[n % hardTexts.length] ?? String)(sample.text);
  const kind = n % 3;
  const withPicture = kind !== 0 && isOne(n, 5, 0);
  const picture = withPicture ? `<img src="cid:bild-${n}@example.com" alt="${sample.name}">` : '';
  const escaped = body.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  const international = label === undefined ? [] : [{ name, address: `leser@${domainOf(label)}` }];
  const hidden = isOne(n, 10, 4) && international.length > 0;
  return {
    n,
    subject: isOne(n, 11, 0) ? `${n}: ${`${sample.subject}  `.repeat(12)}Ende` : `${sample.subject} — ${n}`,
    from: { name: other.name, address: 'corpus@example.com' },
    to: hidden ? international : [{ name: `${name}, "${n}" (x)`, address: 'corpus@example.com' }, ...international],
    cc: isOne(n, 5, 2) ? [{ name: other.name, address: 'anna@example.com' }] : [],
    bcc: hidden ? [reader] : [],
    replyTo: isOne(n, 6, 1) ? [{ name, address: `antwort-${n}@${domainOf(label ?? 'bücher')}` }] : [],
    ...(kind === 1 ? {} : { text: body }),
    ...(kind === 0 ? {} : { html: `<!doctype html><p dir="auto">${escaped}</p>${picture}` }),
    attachments: [
      ...attachmentsOf(n, sample),
      ...(withPicture
        ? [
            {
              filename: `${sample.file}.png`,
              contentType: 'image/png',
              content: png,
              contentId: `bild-${n}@example.com`,
            },
          ]
        : []),
    ],
    ...(isOne(n, 7, 3) ? { calendar: { method: 'REQUEST', content: calendarOf(n, sample) } } : {}),
    headers: { 'X-Number': String(n), ...(isOne(n, 13, 0) ? { 'X-Note': `${sample.subject}  ${sample.name}` } : {}) },
    ...(isOne(n, 4, 1) || isOne(n, 4, 2) ? { inReplyTo: `<frage-${n}@example.org>` } : {}),
    ...(isOne(n, 4, 2)
      ? {
          references: Array.from(
            { length: 1 + (n % 30) },
            (_, at) => `<faden-${n}-${at}.${'x'.repeat(30)}@example.org>`,
          ),
        }
      : {}),
    ...(isOne(n, 9, 2) ? { priority: 'high' as const } : isOne(n, 9, 5) ? { priority: 'low' as const } : {}),
  };
}

/** So many mails, always the same ones, with what makes mails differ spread over them. */
export function composedMails(count: number): readonly ComposedMail[] {
  return Array.from({ length: count }, (_, n) => composed(n));
}

/** The body of a request that hands a mail in. */
export function requestOf({ n: _, attachments, ...mail }: ComposedMail): Readonly<Record<string, unknown>> {
  return {
    ...mail,
    attachments: attachments.map(({ content, ...attachment }) => ({
      ...attachment,
      content: content.toString('base64'),
    })),
  };
}

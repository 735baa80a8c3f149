// What the scripts of this folder share: the gateway's address, and how a case is reported.
export const URL = process.env.GATEWAY_URL;
export const KEY = process.env.GATEWAY_KEY;
export const MODEL = process.env.MODEL;
export const SCHEMA = {
  type: "object",
  properties: { answer: { type: "integer" } },
  required: ["answer"],
  additionalProperties: false,
};
export const parameters = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
export const imageData = process.env.IMAGE_DATA;
export const image = `data:image/png;base64,${imageData}`;
export const documentData = process.env.DOCUMENT_DATA;

export async function report(name, run) {
  let found;
  try {
    found = await run();
  } catch (error) {
    found = {
      error: error.constructor.name,
      status: error.status ?? error.statusCode ?? null,
      message: String(error.message),
    };
  }
  console.log(JSON.stringify({ case: name, ...found }));
}

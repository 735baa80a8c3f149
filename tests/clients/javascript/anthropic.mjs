// Anthropic's JavaScript client: every case prints one line of JSON, `{case, …}`.
import Anthropic from "@anthropic-ai/sdk";
import { KEY, MODEL, SCHEMA, URL, documentData, imageData, parameters, report } from "./case.mjs";

const client = new Anthropic({ baseURL: URL, apiKey: KEY, maxRetries: 0 });
const messages = [{ role: "user", content: "Hello" }];
const tools = [{ name: "get_weather", input_schema: parameters }];
const options = { model: MODEL, max_tokens: 50 };

function textOf(message) {
  return message.content.map((block) => block.text ?? "").join("");
}

function countsOf(usage) {
  const cached = usage.cache_read_input_tokens;
  return { usage: usage.input_tokens + cached + usage.output_tokens, cached };
}

function usesOf(message) {
  return message.content.filter((block) => block.type === "tool_use");
}

function turnsAfter(message) {
  const results = usesOf(message).map((use) => ({
    type: "tool_result",
    tool_use_id: use.id,
    content: "sunny",
  }));
  return [
    ...messages,
    { role: "assistant", content: message.content },
    { role: "user", content: results },
  ];
}

await report("plain", async () => {
  const answer = await client.messages.create({ ...options, messages });
  return { text: textOf(answer), ...countsOf(answer.usage) };
});

await report("streamed", async () => {
  const answer = await client.messages.stream({ ...options, messages }).finalMessage();
  return { text: textOf(answer), ...countsOf(answer.usage) };
});

await report("tools", async () => {
  const asked = await client.messages.stream({ ...options, messages, tools }).finalMessage();
  const answer = await client.messages.create({ ...options, messages: turnsAfter(asked), tools });
  return { cities: usesOf(asked).map((use) => use.input.city), text: textOf(answer) };
});

await report("structure", async () => {
  const output_config = { format: { type: "json_schema", schema: SCHEMA } };
  const asked = { ...options, messages, output_config };
  const whole = await client.messages.create(asked);
  const streamed = await client.messages.stream(asked).finalMessage();
  return { whole: JSON.parse(textOf(whole)), streamed: JSON.parse(textOf(streamed)) };
});

await report("files", async () => {
  const image = { type: "base64", media_type: "image/png", data: imageData };
  const document = { type: "base64", media_type: "application/pdf", data: documentData };
  const content = [
    { type: "image", source: image },
    { type: "document", source: document, title: "a.pdf" },
    { type: "text", text: "What are they?" },
  ];
  const turns = [{ role: "user", content }];
  return { text: textOf(await client.messages.create({ ...options, messages: turns })) };
});

await report("thoughts", async () => {
  const thinking = { type: "enabled", budget_tokens: 2000 };
  const thoughtful = { model: MODEL, max_tokens: 4000, tools, thinking };
  const asked = await client.messages.stream({ ...thoughtful, messages }).finalMessage();
  const answer = await client.messages.create({ ...thoughtful, messages: turnsAfter(asked) });
  const thoughts = asked.content.map((block) => block.thinking ?? "");
  return { thought: thoughts.join(""), text: textOf(answer) };
});

await report("error", async () => {
  await client.messages.create({ ...options, messages });
});

await report("stop", async () => {
  const answer = await client.messages.create({ ...options, messages });
  return { reason: answer.stop_reason };
});

await report("broken", async () => {
  await client.messages.stream({ ...options, messages }).finalMessage();
});

await report("left", async () => {
  const stream = await client.messages.create({ ...options, messages, stream: true });
  for await (const event of stream) {
    if (event.type === "content_block_delta") return { text: typeof event.delta };
  }
});

await report("count", async () => {
  const counted = await client.messages.countTokens({ model: MODEL, messages, tools });
  return { tokens: counted.input_tokens };
});

await report("models", async () => {
  const names = [];
  for await (const { id } of client.models.list()) names.push(id);
  const paged = [];
  for await (const { id } of client.models.list({ limit: 5 })) paged.push(id);
  return { names, paged, one: (await client.models.retrieve(MODEL)).id };
});

await report("missing", async () => {
  await client.messages.create({ ...options, model: "no-such/model", messages, stream: true });
});

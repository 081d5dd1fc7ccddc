// One recording in several versions, of which one sounds; changing the version keeps the place.
class Player {
  constructor(onChange) {
    this.onChange = onChange;
    this.context = null;
    this.buffers = [];
    this.gains = [];
    this.version = 0;
    this.place = 0; // seconds, while nothing plays
    this.voice = null;
    this.match = true;
    this.loading = 0;
  }

  async load(sounds) {
    this.stop();
    this.place = 0;
    this.buffers = []; // nothing plays meanwhile, least of all the former recording
    const ticket = ++this.loading;
    const buffers = await Promise.all(sounds.map((sound) => this.decode(sound)));
    if (ticket !== this.loading) return false; // another recording was chosen meanwhile
    this.buffers = buffers;
    const loudness = buffers.map((buffer) => Player.rms(buffer.getChannelData(0)));
    this.gains = loudness.map((rms) => (rms > 0 && loudness[0] > 0 ? Math.min(4, loudness[0] / rms) : 1));
    return true;
  }

  decode(sound) {
    const text = atob(sound.flac);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return new OfflineAudioContext(1, 1, 16000).decodeAudioData(bytes.buffer); // a real one has to wait for a click
  }

  static rms(samples) {
    let sum = 0;
    for (const value of samples) sum += value * value;
    return Math.sqrt(sum / samples.length);
  }

  get loaded() { return this.buffers.length > 0; }
  get playing() { return this.voice !== null; }
  get seconds() { return this.loaded ? this.buffers[0].duration : 0; }
  get position() {
    if (!this.voice) return this.place;
    return Math.min(this.seconds, this.voice.offset + this.context.currentTime - this.voice.began);
  }

  start() {
    if (!this.loaded) return;
    this.context ??= new AudioContext();
    this.context.resume();
    if (this.place >= this.seconds - 0.01) this.place = 0;
    this.sound(this.place);
    this.onChange();
  }

  sound(offset) {
    this.fade();
    const source = this.context.createBufferSource();
    const gain = this.context.createGain();
    const now = this.context.currentTime;
    const level = this.match ? this.gains[this.version] : 1;
    gain.gain.setValueAtTime(0, now);
    gain.gain.linearRampToValueAtTime(level, now + 0.01);
    source.buffer = this.buffers[this.version];
    source.connect(gain).connect(this.context.destination);
    source.start(now, offset);
    this.voice = { source, gain, offset, began: now };
    source.onended = () => {
      if (this.voice?.source !== source) return;
      this.place = this.seconds;
      this.voice = null;
      this.onChange();
    };
  }

  fade() {
    if (!this.voice) return;
    const { source, gain } = this.voice;
    source.onended = null;
    gain.gain.cancelScheduledValues(this.context.currentTime);
    gain.gain.setTargetAtTime(0, this.context.currentTime, 0.003);
    source.stop(this.context.currentTime + 0.02);
    this.voice = null;
  }

  stop() {
    this.place = this.position;
    this.fade();
    this.onChange();
  }

  seek(seconds) {
    this.place = Math.max(0, Math.min(this.seconds, seconds));
    if (this.playing) this.sound(this.place);
    this.onChange();
  }

  choose(version) {
    if (version < 0 || version >= this.buffers.length) return;
    const place = this.position;
    this.version = version;
    this.place = place;
    if (this.playing) this.sound(place);
    this.onChange();
  }
}

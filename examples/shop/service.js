// The smallest service with a login of its own, for the README's "Add your own service". It signs tokens with the
// gateway's JWT_SECRET and learns who is calling from X-Auth-Subject, which only the gateway can have set.
import express from 'express';
import jwt from 'jsonwebtoken';

const { JWT_SECRET = '', PORT = '4000' } = process.env;

const app = express();
app.use(express.json());

app.post('/login', (req, res) => {
  // Yours checks the password here.
  res.json({ access_token: jwt.sign({ sub: req.body.name }, JWT_SECRET, { expiresIn: '1h' }) });
});

app.post('/logout', (_req, res) => {
  // The gateway has revoked the token before this request arrives. End the refresh token here, if there is one.
  res.json({ status: 'logged out' });
});

app.get('/orders', (req, res) => {
  res.json({ customer: req.get('X-Auth-Subject') ?? 'another service', orders: ['tea'] });
});

app.listen(Number(PORT));

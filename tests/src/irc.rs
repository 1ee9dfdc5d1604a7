//! IRC servers from Debian's packages, each with its own configuration on free ports of this machine, and people who
//! chat on them.

use crate::{
    rig::PATIENCE,
    tool::{self, Server},
};
use std::{
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    process::Command,
    sync::mpsc,
    thread,
    time::Instant,
};
use tempfile::TempDir;

/// A port that was free a moment ago.
///
/// # Panics
/// When there is none.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

/// A server that runs for as long as this lives.
pub struct Network {
    /// The port for clients.
    pub port: u16,
    folder: TempDir,
    server: Option<Server>,
    services: Option<Server>,
}

impl Network {
    /// An ngircd; `None`, with a message, where it is not installed.
    ///
    /// # Panics
    /// When it does not start.
    pub fn ngircd() -> Option<Self> {
        Self::ngircd_with(false)
    }

    /// An ngircd with TLS only and a self-signed certificate: [`Network::certificate`].
    ///
    /// # Panics
    /// When it does not start.
    pub fn ngircd_with_tls() -> Option<Self> {
        tool::is_there("openssl", "openssl").then(|| Self::ngircd_with(true)).flatten()
    }

    fn ngircd_with(tls: bool) -> Option<Self> {
        // Its folder is only in the path of root.
        if !Path::new(NGIRCD).is_file() && !tool::is_there("ngircd", "ngircd") {
            return None;
        }
        let network = Self::new();
        let (port, folder) = (network.port, network.folder.path().display());
        let ports = match tls {
            false => format!("Ports = {port}\n"),
            true => {
                network.make_certificate();
                format!("[SSL]\nPorts = {port}\nCertFile = {folder}/cert.pem\nKeyFile = {folder}/key.pem\n")
            }
        };
        let (plain, encrypted) = if tls { ("Ports = 0\n", ports.as_str()) } else { (ports.as_str(), "") };
        network.write(
            "ngircd.conf",
            &format!(
                "[Global]\nName = irc.test.example\nInfo = test\nListen = 127.0.0.1\nMotdPhrase = hello\nPidFile =\n{plain}\
                 [Limits]\nMaxConnectionsIP = 0\nMaxNickLength = 16\n\
                 [Options]\nPAM = no\nIdent = no\nDNS = no\n{encrypted}"
            ),
        );
        Some(network.started())
    }

    /// An InspIRCd with Atheme's services, where people can register accounts; `None`, with a message, where one of
    /// them is not installed.
    ///
    /// # Panics
    /// When it does not start.
    pub fn with_services() -> Option<Self> {
        let there = Path::new(INSPIRCD).is_file() || tool::is_there("inspircd", "inspircd");
        if !there || !tool::is_there("atheme-services", "atheme-services") {
            return None;
        }
        let mut network = Self::new();
        let (port, link, folder) = (network.port, free_port(), network.folder.path().display());
        let inspircd = INSPIRCD_CONF.replace("PORT", &port.to_string()).replace("LINK", &link.to_string());
        network.write("inspircd.conf", &inspircd.replace("FOLDER", &folder.to_string()));
        network.write("atheme.conf", &ATHEME_CONF.replace("LINK", &link.to_string()));
        network.start();
        let file = |name: &str| network.folder.path().join(name);
        let mut atheme = Command::new("atheme-services");
        atheme.arg("-n").arg("-c").arg(file("atheme.conf")).arg("-D").arg(network.folder.path());
        let services = Server::start(atheme.arg("-l").arg(file("log")).arg("-p").arg(file("pid")));
        services.told("finished synching");
        network.services = Some(services);
        Some(network)
    }

    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        // A server that root starts continues as another user, who must find its files.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).expect("ours");
        Self { port: free_port(), folder, server: None, services: None }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).expect("our directory");
    }

    fn make_certificate(&self) {
        let arguments = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=irc.test.example \
                         -keyout key.pem -out cert.pem";
        let arguments: Vec<_> = arguments.split_whitespace().collect();
        let (code, printed) = tool::run("openssl", &arguments, self.folder.path(), b"");
        assert_eq!(code, Some(0), "{printed}");
        let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(self.folder.path().join("key.pem"), readable).expect("just made");
    }

    /// The server's own certificate, PEM.
    pub fn certificate(&self) -> String {
        self.folder.path().join("cert.pem").display().to_string()
    }

    /// Starts it again, after [`Network::kill`].
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(&mut self) {
        let file = |name: &str| self.folder.path().join(name);
        self.server = Some(if file("ngircd.conf").is_file() {
            let server = Server::start(Command::new(NGIRCD).arg("-n").arg("-f").arg(file("ngircd.conf")));
            server.told("Now listening on");
            server
        } else {
            let mut inspircd = Command::new(INSPIRCD);
            inspircd.args(["--nofork", "--nolog", "--config"]).arg(file("inspircd.conf"));
            if rustix::process::geteuid().is_root() {
                inspircd.arg("--runasroot");
            }
            let server = Server::start(&mut inspircd);
            server.told("is now running");
            server
        });
    }

    fn started(mut self) -> Self {
        self.start();
        self
    }

    /// Ends it like a power cut.
    pub fn kill(&mut self) {
        self.server.take().into_iter().for_each(Server::kill);
    }

    /// The settings that connect a bot to it, without TLS.
    pub fn settings(&self) -> String {
        format!("[connect.irc]\nserver = \"127.0.0.1\"\nport = {}\ntls = false\nnick = \"rosey\"\n", self.port)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // Services first: otherwise they would look for their server for a while.
        self.services = None;
    }
}

/// Debian installs them into a folder that is only in the path of root.
const NGIRCD: &str = "/usr/sbin/ngircd";

/// See [`NGIRCD`].
const INSPIRCD: &str = "/usr/sbin/inspircd";

const INSPIRCD_CONF: &str = r#"
<server name="irc.test.example" description="test" network="TestNet" id="001">
<admin name="t" nick="t" email="t@test.example">
<path configdir="FOLDER" datadir="FOLDER" logdir="FOLDER" runtimedir="FOLDER">
<pid file="FOLDER/inspircd.pid">
<bind address="127.0.0.1" port="PORT" type="clients">
<bind address="127.0.0.1" port="LINK" type="servers">
<connect name="main" allow="*" timeout="60" pingfreq="120" localmax="100" globalmax="100" resolvehostnames="no" useident="no">
<module name="cap"><module name="ircv3"><module name="ircv3_accounttag"><module name="ircv3_ctctags">
<module name="services_account"><module name="sasl"><module name="spanningtree">
<sasl target="services.test.example" requiressl="no">
<link name="services.test.example" ipaddr="127.0.0.1" port="LINK" allowmask="127.0.0.1" sendpass="link" recvpass="link">
<uline server="services.test.example" silent="yes">
"#;

const ATHEME_CONF: &str = r#"
loadmodule "modules/protocol/inspircd";
loadmodule "modules/backend/opensex";
loadmodule "modules/crypto/posix";
loadmodule "modules/nickserv/main";
loadmodule "modules/nickserv/identify";
loadmodule "modules/nickserv/register";
loadmodule "modules/saslserv/main";
loadmodule "modules/saslserv/plain";
serverinfo { name = "services.test.example"; desc = "services"; numeric = "00A"; recontime = 1; netname = "TestNet";
    adminname = "t"; adminemail = "t@test.example"; registeremail = "n@test.example"; mta = "/bin/true";
    loglevel = { error; info; admin; network; }; maxlogins = 50; maxusers = 50; maxnicks = 50; maxchans = 5;
    mdlimit = 30; emaillimit = 10; emailtime = 300; auth = none; casemapping = rfc1459; };
uplink "irc.test.example" { host = "127.0.0.1"; port = LINK; send_password = "link"; receive_password = "link"; };
nickserv { nick = "NickServ"; user = "NickServ"; host = "services.test"; real = "n"; };
saslserv { nick = "SaslServ"; user = "SaslServ"; host = "services.test"; real = "s"; };
"#;

/// A person with a client, which answers the server's pings.
pub struct Person {
    nick: String,
    stream: TcpStream,
    lines: mpsc::Receiver<String>,
}

impl Person {
    /// Connects.
    ///
    /// # Panics
    /// When the server refuses the connection.
    pub fn new(network: &Network, nick: &str) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, network.port)).expect("it listens");
        let (heard, lines) = mpsc::channel();
        let (read, mut pong) = (stream.try_clone().expect("a socket"), stream.try_clone().expect("a socket"));
        thread::spawn(move || {
            for line in BufReader::new(read).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                if let Some(token) = line.strip_prefix("PING ") {
                    // The connection may be over.
                    let _ = write!(pong, "PONG {token}\r\n");
                } else if heard.send(line).is_err() {
                    break;
                }
            }
        });
        let mut person = Self { nick: nick.to_owned(), stream, lines };
        person.send(&format!("NICK {nick}"));
        person.send(&format!("USER {nick} 0 * :{nick}"));
        person.until(" 001 ");
        person
    }

    /// Connects and joins a channel where the bot is.
    ///
    /// # Panics
    /// When that does not happen in time.
    pub fn beside(bot: &str, network: &Network, nick: &str) -> Self {
        let mut person = Self::new(network, nick);
        person.send("JOIN #rosey");
        let names = person.until(" 353 ");
        if !names.split([' ', ':', '@']).any(|name| name == bot) {
            person.until(&format!(":{bot}!"));
        }
        person
    }

    /// Sends a line of the protocol.
    ///
    /// # Panics
    /// When the connection is over.
    pub fn send(&mut self, line: &str) {
        write!(self.stream, "{line}\r\n").expect("it is connected");
    }

    /// Says a line in a channel or to a person.
    pub fn say(&mut self, to: &str, text: &str) {
        self.send(&format!("PRIVMSG {to} :{text}"));
    }

    /// The next line that contains this.
    ///
    /// # Panics
    /// When none comes in time.
    pub fn until(&self, what: &str) -> String {
        let (began, mut heard) = (Instant::now(), Vec::new());
        loop {
            match self.lines.recv_timeout(PATIENCE.saturating_sub(began.elapsed())) {
                Ok(line) if line.contains(what) => return line,
                Ok(line) => heard.push(line),
                Err(_) => panic!("{} never saw {what:?}:\n{}", self.nick, heard.join("\n")),
            }
        }
    }

    /// The next line that someone says in a channel or to this person.
    ///
    /// # Panics
    /// When none comes in time.
    pub fn hears(&self, from: &str) -> String {
        let line = self.until(&format!(":{from}!"));
        match line.split_once(" PRIVMSG ").and_then(|(_, rest)| rest.split_once(" :")) {
            Some((_, text)) => text.to_owned(),
            None => self.hears(from),
        }
    }

    /// Says a line and returns the bot's answer.
    pub fn asks(&mut self, to: &str, text: &str) -> String {
        self.say(to, text);
        self.hears("rosey")
    }

    /// Registers a services account with the name of the nick, which also logs in.
    ///
    /// # Panics
    /// When services refuse.
    pub fn registers(&mut self, password: &str) {
        self.say("NickServ", &format!("REGISTER {password} {}@test.example", self.nick));
        // RPL_LOGGEDIN: later messages have the account in their tags.
        self.until(" 900 ");
    }
}

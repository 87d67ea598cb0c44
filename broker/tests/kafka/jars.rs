//! Kafka's jars: fetched once by Maven and kept in the target directory, or in `MILLRACE_KAFKA_LIBS`.

use crate::support::tool;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const VERSION: &str = "4.3.1";
/// Oldest Java that this Kafka runs on.
const JAVA_MIN: u32 = 17;

/// Names Kafka, its command-line tools, and the log backend that both leave to their user.
const POM: &str = r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>millrace.test</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>VERSION</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka-tools</artifactId>
      <version>VERSION</version>
      <exclusions>
        <!-- Half of all jars, for Kafka Connect only. -->
        <exclusion><groupId>org.apache.kafka</groupId><artifactId>connect-runtime</artifactId></exclusion>
      </exclusions>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>2.25.4</version>
    </dependency>
  </dependencies>
</project>
"#;

/// What is needed to run Kafka, if it is installed.
pub struct Tools {
    pub java: PathBuf,
    maven: PathBuf,
}

impl Tools {
    pub fn find() -> Option<Tools> {
        let java = tool("java").filter(|java| version(java).is_some_and(|version| version >= JAVA_MIN))?;
        Some(Tools { java, maven: tool("mvn")? })
    }

    /// The folder with the jars; fetched if it is not there. Fails if they cannot be fetched.
    pub fn libs(&self) -> PathBuf {
        let libs = std::env::var_os("MILLRACE_KAFKA_LIBS").map_or_else(
            || {
                let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target/tmp");
                target.join(format!("kafka-{VERSION}")).join("libs")
            },
            PathBuf::from,
        );
        if !libs.is_dir() {
            self.fetch(&libs).unwrap_or_else(|said| panic!("Maven cannot fetch Kafka: {said}"));
        }
        libs
    }

    /// Fetches into a folder beside `libs`, which gets that name only when everything is there: a download that broke
    /// off leaves nothing that looks finished, and two at a time do not disturb each other.
    fn fetch(&self, libs: &Path) -> Result<(), String> {
        let parent = libs.parent().expect("a folder above");
        std::fs::create_dir_all(parent).expect("a folder for the jars");
        let partial = tempfile::Builder::new().prefix("fetching-").tempdir_in(parent).expect("a folder");
        let (pom, jars) = (partial.path().join("pom.xml"), partial.path().join("libs"));
        std::fs::write(&pom, POM.replace("VERSION", VERSION)).expect("written");
        let output = Command::new(&self.maven)
            .args(["-q", "-B", "-f"])
            .arg(&pom)
            .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
            .arg(format!("-DoutputDirectory={}", jars.display()))
            .output()
            .expect("Maven can be started");
        let said = [output.stdout, output.stderr].concat();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&said).into_owned());
        }
        match std::fs::rename(&jars, libs) {
            Err(error) if !libs.is_dir() => Err(format!("{}: {error}", libs.display())),
            _ => Ok(()),
        }
    }
}

/// The major version of a Java.
fn version(java: &Path) -> Option<u32> {
    let output = Command::new(java).arg("-version").output().ok()?;
    major(&String::from_utf8_lossy(&output.stderr))
}

/// `openjdk version "17.0.15" 2025-04-15` is 17.
fn major(text: &str) -> Option<u32> {
    let number = text.split('"').nth(1)?;
    number.split(['.', '-', '+']).next()?.parse().ok()
}

#[test]
fn versions_of_java() {
    let cases = [
        ("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK", Some(17)),
        ("openjdk version \"21\" 2023-09-19", Some(21)),
        ("openjdk version \"22-ea\" 2024-03-19", Some(22)),
        ("java version \"1.8.0_412\"", Some(1)),
        ("bash: java", None),
        ("", None),
    ];
    for (text, expected) in cases {
        assert_eq!(major(text), expected, "{text}");
    }
}

#[test]
fn a_broken_download_is_repeated() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let libs = folder.path().join("kafka").join("libs");
    let maven = |end: &str| {
        let path = folder.path().join("mvn");
        let script = format!(
            "#!/bin/sh\nfor word; do case $word in -DoutputDirectory=*) out=${{word#*=}};; esac; done\n\
             mkdir -p \"$out\"; touch \"$out/a.jar\"; {end}\n"
        );
        std::fs::write(&path, script).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).expect("ours");
        Tools { java: PathBuf::new(), maven: path }
    };
    let error = maven("echo no network; exit 1").fetch(&libs).expect_err("it failed");
    assert!(error.contains("no network") && !libs.exists(), "{error}");
    maven("exit 0").fetch(&libs).expect("it worked");
    // Another process was faster.
    maven("exit 0").fetch(&libs).expect("it is there");
    assert!(libs.join("a.jar").exists());
    let left = std::fs::read_dir(libs.parent().expect("a parent")).expect("a folder").count();
    assert_eq!(left, 1, "what was fetched in part is left");
}
